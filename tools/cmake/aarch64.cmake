# Builds for aarch64 with Debian's cross compiler, and runs the tests under qemu: CMAKE_TOOLCHAIN_FILE of test.sh --full.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)

# GoogleTest's library for this machine is none for that one: build it from Debian's sources.
set(CMAKE_DISABLE_FIND_PACKAGE_GTest ON)
set(FETCHCONTENT_SOURCE_DIR_GTEST /usr/src/googletest)
