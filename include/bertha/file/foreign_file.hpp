// What is given to bertha by mistake: the files of a checkpoint, or a model in another program's format. They are known
// by their first bytes, and the message says what to do.

#pragma once

#include <bertha/error.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Throws Error{format} for `bytes` that are known to be another program's; `folder` is where they lie, or empty.
BERTHA_FUNCTION void refuse_foreign(std::span<const std::byte> bytes, std::string_view name, std::string_view folder);

/// The folder of the file at `path`.
inline std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
}

#if defined(BERTHA_DEFINES_FUNCTIONS)

/// Whether they are safetensors with tensors, but without the metadata that every model file has.
inline bool is_plain_safetensors(std::string_view bytes) {
  std::uint64_t size = 0;
  if (bytes.size() < sizeof size) return false;
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > bytes.size() - sizeof size) return false;
  const std::string_view header = bytes.substr(sizeof size, size);
  const auto has = [&](std::string_view key) { return header.find(key) != header.npos; };
  return header.starts_with('{') && has("\"data_offsets\"") && !has("\"crc32\"") && !has("\"selftest\"");
}

BERTHA_FUNCTION void refuse_foreign(std::span<const std::byte> bytes, std::string_view name, std::string_view folder) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto refuse = [&](std::string_view what) {
    throw_error(ErrorCode::format, {name, ": this is ", what,
                                    ", not a model file. Convert the checkpoint: python3 "
                                    "tools/convert.py ",
                                    folder.empty() ? "FOLDER" : folder, " OUT"});
  };
  if (text.starts_with('{')) refuse("JSON, as a Hugging Face checkpoint's config.json is");
  if (is_plain_safetensors(text)) refuse("a Hugging Face checkpoint's weights (safetensors)");
  if (text.starts_with("PK\3\4") || text.starts_with("\x80\2")) refuse("a Hugging Face checkpoint's weights (PyTorch)");
  if (text.starts_with("\x89HDF\r\n")) refuse("a checkpoint's weights for TensorFlow (HDF5)");
  if (text.starts_with("GGUF"))
    refuse("a GGUF file, as llama.cpp reads it: begin with the checkpoint it was made from");
  // ONNX: the field ir_version, a small number, and then another field of ModelProto, which is text or a message.
  const bool fields = text.size() > 2 && text[0] == '\x08' && text[1] > 0 && text[1] < 32 && (text[2] & 7) == 2;
  if (fields && text[2] > 0x0A && text[2] < 0x43) {
    refuse("an ONNX file: begin with the checkpoint it was exported from");
  }
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
