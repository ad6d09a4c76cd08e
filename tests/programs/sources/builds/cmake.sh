# Configure (which compiles and runs probes), build two targets side by side, run the tests.
cat > CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.10)
project(demo C CXX)
include(CheckSymbolExists)
check_symbol_exists(epoll_create1 sys/epoll.h HAVE_EPOLL)
find_package(Threads REQUIRED)
add_library(answer STATIC answer.c)
add_executable(demo main.cc)
target_link_libraries(demo answer Threads::Threads)
enable_testing()
add_test(NAME demo COMMAND demo)
C
echo 'int answer(void) { return 42; }' > answer.c
cat > main.cc <<'C'
#include <iostream>
#include <thread>
extern "C" int answer(void);
int main() { std::thread thread([] { std::cout << answer() << std::endl; }); thread.join(); }
C
cmake -S . -B build
cmake --build build -j2 | sort
build/demo
(cd build && ctest | grep -E 'tests passed|#1')
sha256sum build/demo build/libanswer.a
rm -r build
