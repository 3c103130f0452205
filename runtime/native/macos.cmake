# Cross-compiling for macOS with Zig, `pip install ziglang`: the program that package holds in the environment's SPARSR_ZIG, and
# cmake -DCMAKE_TOOLCHAIN_FILE=macos.cmake -DSPARSR_MACHINE=arm64 (or x86_64).
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SPARSR_MACHINE)
set(CMAKE_SYSTEM_PROCESSOR ${SPARSR_MACHINE})
string(REPLACE arm64 aarch64 target ${SPARSR_MACHINE})
set(CMAKE_CXX_COMPILER $ENV{SPARSR_ZIG} c++ -target ${target}-macos.11.0)
