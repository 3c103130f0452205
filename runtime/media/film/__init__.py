"""Parts of upscaling a film: frames in, frames out, times, and the streams beside them."""
