// A model file, opened and checked: its configuration as plain structs, and its tensors, which the parts of a model
// take by name, type and shape, each once. tools/format.md specifies the file.
//
//     auto file = WeightFile::open("model.safetensors");
//     Encoder encoder(file, file.config());   // takes its tensors
//     file.finish();                          // refuses what nothing took
//
// Weights are used where they lie: whoever takes a span holds `keep_alive()` as long as it uses it.

#pragma once

#include <algorithm>
#include <bertha/bf16.hpp>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/crc32.hpp>
#include <bertha/file/foreign_file.hpp>
#include <bertha/file/mapped_file.hpp>
#include <bertha/file/safetensors.hpp>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <bertha/file/config_json.hpp>
#include <bertha/file/json.hpp>
#include <bertha/file/self_test_json.hpp>
#include <bertha/file/tokenizer_json.hpp>
#endif
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// "<layer>.<part>": the name of a part of a layer.
inline std::string join(std::string_view layer, std::string_view part) {
  return std::string(layer).append(".").append(part);
}

/// What may be held in memory beside the file's own bytes. Results don't depend on it.
enum class Memory : std::uint8_t {
  fast,  ///< what makes calls fastest: float32 weights that run as bfloat16 halves are kept so, twice the file in all
  low    ///< nothing that a call can make itself: weights stay where the file has them
};

/// How to open a file.
struct OpenOptions {
  bool copy = false;  ///< hold a copy of all bytes: what is written to the file later doesn't matter then
  Memory memory = Memory::fast;
};

/// The element type that a C++ type stands for.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    return DType::u8;
  } else if constexpr (std::is_same_v<T, std::int8_t>) {
    return DType::i8;
  } else if constexpr (std::is_same_v<T, std::uint32_t>) {
    return DType::u32;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return DType::i32;
  } else if constexpr (std::is_same_v<T, bf16>) {
    return DType::bf16;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::f64;
  } else {
    static_assert(std::is_same_v<T, float>, "tensors hold u8, i8, u32, i32, bf16, float or double");
    return DType::f32;
  }
}

/// One opened model file. Movable, not copyable. Const methods may run concurrently; `take` needs the object to itself.
class WeightFile {
 public:
  /// Maps or copies the file and checks all of it but the CRCs. While it is in use, a mapped file must not be written
  /// to: replace model files by renaming new ones to their names, or set `copy`.
  /// Throws Error{file | format | unsupported | vocabulary} with the path, the part and the field.
  static WeightFile open(const std::string& path, OpenOptions options = {}) {
    const auto mode = options.copy ? MappedFile::Mode::copy : MappedFile::Mode::map;
    auto file = std::make_shared<const MappedFile>(path, mode);
    const auto bytes = file->bytes();
    detail::refuse_foreign(bytes, path, detail::folder_of(path));
    return WeightFile(bytes, path, options.memory, std::move(file));
  }

  /// The same for a file's bytes. Without `copy` they must be 64-byte aligned, or it throws Error{input}, and must
  /// outlive everything that is loaded from them.
  static WeightFile from_bytes(std::span<const std::byte> bytes, std::string name = "bytes", OpenOptions options = {}) {
    detail::refuse_foreign(bytes, name, {});
    if (options.copy) {
      auto copy = std::make_shared<const MappedFile>(MappedFile::copy_of(bytes));
      bytes = copy->bytes();
      return WeightFile(bytes, std::move(name), options.memory, std::move(copy));
    }
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kFileAlignment != 0) {
      throw_error(ErrorCode::input,
                  {name, ": the address of a model's bytes must be a multiple of 64; copy them, or set 'copy'."});
    }
    return WeightFile(bytes, std::move(name), options.memory, nullptr);
  }

  WeightFile(WeightFile&&) = default;
  WeightFile& operator=(WeightFile&&) = default;

  /// The path, or the name given to the bytes: what messages call the file.
  const std::string& name() const { return name_; }
  const ModelConfig& config() const { return config_; }
  const TokenizerConfig& tokenizer() const { return tokenizer_; }
  /// Where the model comes from and what converted it: compact JSON (tools/format.md, section 2).
  const std::string& source() const { return source_; }
  const std::vector<SelfTestCase>& self_test() const { return self_test_; }
  /// How it was opened: what its users may hold beside it.
  Memory memory() const { return memory_; }
  /// All tensors in file order.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }

  bool has(std::string_view tensor) const { return index_.find(tensor) != index_.end(); }
  /// Throws Error{missing_tensor}.
  DType dtype(std::string_view tensor) const { return tensors_[find(tensor)].dtype; }
  /// Throws Error{missing_tensor}.
  const std::vector<std::size_t>& shape(std::string_view tensor) const { return tensors_[find(tensor)].shape; }

  /// The elements of a tensor, which counts as taken from now on; 64-byte aligned.
  /// Throws Error{missing_tensor}, Error{shape} saying which type and shape were expected and found, and
  /// Error{unsupported} when it was taken before.
  template <class T>
  std::span<const T> take(std::string_view tensor, std::initializer_list<std::size_t> shape) {
    return elements<T>(take_bytes(tensor, dtype_of<T>(), shape));
  }

  /// The elements of a tensor that another part of the model takes: a decoder's that is an embedding table, say.
  /// Throws Error{missing_tensor | shape}.
  template <class T>
  std::span<const T> borrow(std::string_view tensor, std::initializer_list<std::size_t> shape) const {
    return elements<T>(bytes_of(find(tensor), dtype_of<T>(), shape));
  }

  /// Throws Error{unused_tensor} naming tensors (five at most) that nothing took.
  void finish() const;

  /// Reads all tensors and compares their CRC-32. Throws Error{format} naming the first tensor that differs.
  void check_crcs() const;

  /// What the bytes live in; null when the caller of `from_bytes` holds them.
  std::shared_ptr<const void> keep_alive() const { return mapping_; }

 private:
  WeightFile(std::span<const std::byte> bytes, std::string name, Memory memory, std::shared_ptr<const void> mapping);
  void read_crcs(std::string_view text, const std::string& where);

  template <class T>
  static std::span<const T> elements(std::span<const std::byte> bytes) {
    return {static_cast<const T*>(static_cast<const void*>(bytes.data())), bytes.size() / sizeof(T)};
  }
  std::size_t find(std::string_view tensor) const;
  std::span<const std::byte> bytes_of(std::size_t index, DType dtype, std::span<const std::size_t> shape) const;
  std::span<const std::byte> take_bytes(std::string_view tensor, DType dtype, std::span<const std::size_t> shape);

  std::shared_ptr<const void> mapping_;
  std::span<const std::byte> bytes_;
  std::string name_;
  Memory memory_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;  // by name, of tensors_, taken_ and crcs_
  std::vector<bool> taken_;
  std::vector<std::uint32_t> crcs_;
  std::string source_;
  ModelConfig config_;
  TokenizerConfig tokenizer_;
  std::vector<SelfTestCase> self_test_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION WeightFile::WeightFile(std::span<const std::byte> bytes, std::string name, Memory memory,
                                       std::shared_ptr<const void> mapping)
    : mapping_(std::move(mapping)), bytes_(bytes), name_(std::move(name)), memory_(memory) {
  if (memory != Memory::fast && memory != Memory::low)
    throw_error(ErrorCode::input, {name_, ": the option 'memory' is none of Memory's: expected fast or low"});
  Safetensors container = parse_safetensors(bytes_, name_);
  tensors_ = std::move(container.tensors);
  taken_.resize(tensors_.size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);

  auto& metadata = container.metadata;
  const auto part = [&](const char* key) {
    auto found = metadata.extract(key);
    if (found.empty()) detail::refuse_format(name_, concat({"__metadata__ has no '", key, "'"}));
    return std::move(found.mapped());
  };
  part("format");
  source_ = detail::read_source(part("source"), name_ + ": source");
  config_ = detail::read_config(part("config"), name_ + ": config");
  tokenizer_ = detail::read_tokenizer(part("tokenizer"), config_, name_ + ": tokenizer");
  self_test_ = detail::read_self_test(part("selftest"), config_, name_ + ": selftest");
  read_crcs(part("crc32"), name_ + ": crc32");
  if (!metadata.empty()) {
    detail::refuse_format(name_, concat({"__metadata__ has the unknown key ", detail::shown(metadata.begin()->first)}));
  }
}

BERTHA_FUNCTION std::size_t WeightFile::find(std::string_view tensor) const {
  const auto found = index_.find(tensor);
  if (found != index_.end()) return found->second;
  throw_error(ErrorCode::missing_tensor, {name_, ": there is no tensor '", tensor,
                                          "', which the configuration asks for. Convert the model again."});
}

BERTHA_FUNCTION std::span<const std::byte> WeightFile::bytes_of(std::size_t index, DType dtype,
                                                                std::span<const std::size_t> shape) const {
  const auto describe = [](DType of, std::span<const std::size_t> extents) {
    std::string text;
    for (std::size_t extent : extents) text += concat({text.empty() ? "" : ", ", extent});
    return concat({bertha::name(of), " [", text, "]"});
  };
  const TensorInfo& info = tensors_[index];
  if (info.dtype != dtype || !std::equal(shape.begin(), shape.end(), info.shape.begin(), info.shape.end())) {
    throw_error(ErrorCode::shape,
                {name_, ": tensor '", info.name, "' is ", describe(info.dtype, info.shape),
                 ", the configuration asks for ", describe(dtype, shape), ". Convert the model again."});
  }
  return bytes_.subspan(info.offset, info.size);
}

BERTHA_FUNCTION std::span<const std::byte> WeightFile::take_bytes(std::string_view tensor, DType dtype,
                                                                  std::span<const std::size_t> shape) {
  const std::size_t index = find(tensor);
  const std::span<const std::byte> bytes = bytes_of(index, dtype, shape);
  if (taken_[index]) {
    throw_error(ErrorCode::unsupported, {name_, ": tensor '", tensor, "' is taken twice; every tensor has one user."});
  }
  taken_[index] = true;
  return bytes;
}

BERTHA_FUNCTION void WeightFile::finish() const {
  std::string names;
  std::size_t left = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (taken_[i] || ++left > 5) continue;
    names += concat({names.empty() ? "'" : ", '", tensors_[i].name, "'"});
  }
  if (left == 0) return;
  if (left > 5) names += concat({" and ", left - 5, " more"});
  throw_error(ErrorCode::unused_tensor, {name_, ": nothing uses the tensors ", names,
                                         ". Load the file as the kind of model that it holds, or convert it again."});
}

BERTHA_FUNCTION void WeightFile::check_crcs() const {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (crc32(bytes_.subspan(tensors_[i].offset, tensors_[i].size)) == crcs_[i]) continue;
    throw_error(ErrorCode::format,
                {name_, ": the bytes of tensor '", tensors_[i].name,
                 "' differ from their recorded CRC-32. The file is damaged: copy or convert it again."});
  }
}

BERTHA_FUNCTION void WeightFile::read_crcs(std::string_view text, const std::string& where) {
  const detail::JsonDocument document = detail::parse_json(text, where);
  const detail::Json json = document.root();
  if (!json.is_object() || json.size() != tensors_.size()) {
    detail::refuse_format(where, concat({"there must be a number for each of ", tensors_.size(), " tensors"}));
  }
  crcs_.resize(tensors_.size());
  for (const auto [tensor, crc] : json.items()) {
    const auto found = index_.find(tensor);
    if (found == index_.end()) {
      detail::refuse_format(where, concat({detail::shown(tensor), " is no tensor of this file"}));
    }
    if (!crc.is_natural() || crc.natural() > 0xFFFFFFFFu) {
      detail::refuse_format(where, concat({"'", tensor, "' must be an integer below 2^32, got ", crc.shown()}));
    }
    crcs_[found->second] = static_cast<std::uint32_t>(crc.natural());
  }
}

#endif

BERTHA_NAMESPACE_END
