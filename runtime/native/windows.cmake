# cmake -DCMAKE_TOOLCHAIN_FILE=windows.cmake: cross-compiling for Windows on x86-64 with mingw-w64.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
