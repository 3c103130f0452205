# What a wheel carries of libsparsr: included where scikit-build-core runs CMake.
# It carries its C++ library, but of that nothing unused, which would ask for a newer C library: the version of that one
# decides which systems the wheel is for.
add_link_options(-static-libstdc++ -Wl,--exclude-libs,ALL,--gc-sections)

# The state of the sources, kept beside the library because a wheel does not carry them.
file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp ${CMAKE_CURRENT_SOURCE_DIR}/*.h
  ${CMAKE_CURRENT_SOURCE_DIR}/*.cmake ${CMAKE_CURRENT_SOURCE_DIR}/CMakeLists.txt)
set(state "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
foreach(source ${files})
  file(SHA256 ${source} hash)
  string(APPEND state " ${hash}")
endforeach()
string(SHA256 state "${state}")
string(SUBSTRING ${state} 0 16 SPARSR_DIGEST)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/digest ${SPARSR_DIGEST})

install(FILES $<TARGET_FILE:sparsr> ${CMAKE_CURRENT_BINARY_DIR}/digest
  DESTINATION ${SKBUILD_PLATLIB_DIR}/sparsr/runtime/engines/native/lib)
