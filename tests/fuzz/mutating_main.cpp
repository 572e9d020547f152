// main() of a fuzzer where there is no libFuzzer: gives it the inputs of a seeds file, and for some seconds what random
// edits make of them. `PROGRAM SEEDS SECONDS`; or `PROGRAM FILE` for one input. The input being tried is in the file
// `PROGRAM.input`, where it stays when the fuzzer ends by it.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kLargest = 4096;

std::string decoded(const std::string& base64) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0, n = 0;
  for (const char digit : base64) {
    if (digit == '=') break;
    bits = bits << 6 | static_cast<std::uint32_t>(digits.find(digit));
    n += 6;
    if (n < 8) continue;
    n -= 8;
    bytes += static_cast<char>(bits >> n & 0xFF);
  }
  return bytes;
}

/// A mapped file with the input that is being tried.
class Tried {
 public:
  explicit Tried(const std::string& path) : path_(path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ::ftruncate(file, kLargest) != 0) std::exit(2);
    memory_ = static_cast<char*>(::mmap(nullptr, kLargest, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    file_ = file;
  }
  void operator()(const std::string& input) {
    std::memcpy(memory_, input.data(), input.size());
    std::memset(memory_ + input.size(), 0, kLargest - input.size());  // zeros are what is read behind the end
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  }
  ~Tried() {
    ::close(file_);
    ::unlink(path_.c_str());
  }

 private:
  std::string path_;
  char* memory_ = nullptr;
  int file_ = -1;
};

std::string edited(std::string input, const std::vector<std::string>& seeds, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t n = 1 + below(4); n > 0; --n) {
    const std::size_t at = below(input.size() + 1), size = below(std::min<std::size_t>(input.size() - at, 16) + 1);
    const std::string& other = seeds[below(seeds.size())];
    switch (below(6)) {
      case 0: input.erase(at, size); break;
      case 1: input.insert(at, input.substr(at, size)); break;
      case 2: input.insert(at, other.substr(below(other.size()), 1 + below(16))); break;
      case 3: input.replace(at, size, other, below(other.size()), size); break;
      case 4: input.insert(at, 1, static_cast<char>(random())); break;
      default:
        if (at < input.size()) input[at] = static_cast<char>(random());
    }
  }
  return input.substr(0, kLargest);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  Tried tried(std::string(argv[0]) + ".input");
  if (argc == 2) {
    tried(std::string(std::istreambuf_iterator<char>(file), {}).substr(0, kLargest));
    return 0;
  }
  std::vector<std::string> seeds;
  for (std::string line; std::getline(file, line);) seeds.push_back(decoded(line));
  if (seeds.empty()) return 2;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  std::mt19937 random(
      static_cast<std::mt19937::result_type>(std::chrono::system_clock::now().time_since_epoch().count()));
  std::size_t tries = 0;
  for (const std::string& seed : seeds) {
    tried(seed);
    ++tries;
  }
  for (; std::chrono::steady_clock::now() < end; ++tries) tried(edited(seeds[random() % seeds.size()], seeds, random));
  std::printf("%zu inputs, %zu of them seeds\n", tries, seeds.size());
  return 0;
}
