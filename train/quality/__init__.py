"""What a network gives and costs: PSNR and SSIM, multiply-adds, comparisons."""
