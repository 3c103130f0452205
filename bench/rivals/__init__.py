"""Dense engines SparSR is compared with: a file per engine, each with a function `load`.

Every rival reads the bundle's `model.onnx`, written out in standard operators, computes in float32 and uses the threads
it is told. All are optional.
"""
