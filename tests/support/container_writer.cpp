// See container_writer.hpp: compiled once for all tests.

#include "container_writer.hpp"

namespace bertha_test {

Json ContainerWriter::header(const Json& strings) const {
  Json header = {{"__metadata__", strings}};
  std::size_t begin = 0;
  for (const TensorData& tensor : tensors) {
    const std::size_t end = begin + tensor.bytes.size();
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  return header;
}

std::string ContainerWriter::pack(std::string header, const std::string& data) {
  header.resize(up(8 + header.size(), 64) - 8, ' ');
  return pack_as_is(header, data);
}

std::string ContainerWriter::pack_as_is(const std::string& header, const std::string& data) {
  const std::uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return file + header + data;
}

std::uint32_t ContainerWriter::crc32(const std::string& bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  return ~crc;
}

}  // namespace bertha_test
