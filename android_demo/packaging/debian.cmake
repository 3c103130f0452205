# CMake toolchain: Android's arm64 from Debian's Clang, lld and arm64 libc++, without the NDK. native.py sets the variables.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SPARSR_ANDROID_LIBCXX SPARSR_ANDROID_STUBS)
# x18 belongs to Android; older processors know no other atomic instructions; Android's C library has other checks.
set(CMAKE_CXX_FLAGS_INIT "-nostdinc++ -isystem ${SPARSR_ANDROID_LIBCXX}/include/c++/v1 -ffixed-x18 -mno-outline-atomics \
-U_FORTIFY_SOURCE -fno-stack-protector -ffunction-sections -fdata-sections")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-nostdlib -fuse-ld=lld-19 -L${SPARSR_ANDROID_STUBS} -Wl,--no-dependent-libraries \
-Wl,--gc-sections -Wl,--no-undefined -Wl,--hash-style=both -Wl,--build-id=sha1 -Wl,--wrap=strerror_r -Wl,--wrap=sysconf \
-Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/exports.map")
set(CMAKE_CXX_STANDARD_LIBRARIES "${SPARSR_ANDROID_LIBCXX}/lib/libc++.a ${SPARSR_ANDROID_LIBCXX}/lib/libunwind.a -lc -lm -ldl")
