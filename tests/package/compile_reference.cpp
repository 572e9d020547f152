// What compile_cost.py measures a compiler and a machine by: a program that every compiler takes some seconds for, and
// that has nothing of bertha.

#include <iostream>
#include <regex>
#include <string>

int main(int argc, char** argv) {
  std::cout << std::regex_replace(std::string(argv[argc - 1]), std::regex("a(b|c)*d"), "e");
}
