// A kind of tokenizer that this library doesn't have: another library's (sentencepiece.hpp), or a user's own.

#pragma once

#include <bertha/tokenizer/tokenizer_kind.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

BERTHA_NAMESPACE_BEGIN

/// Any TokenizerKind as one type, itself one. What it adds are virtual calls for each part of a text, none for tokens.
class OtherKind {
 public:
  template <TokenizerKind Kind>
  requires(!std::same_as<Kind, OtherKind>) explicit OtherKind(Kind kind)
      : kind_(std::make_shared<const KindOf<Kind>>(std::move(kind))) {}

  const StoredStrings& strings() const { return kind_->strings(); }

  std::optional<std::uint32_t> find(std::string_view token) const { return kind_->find(token); }

  void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const {
    kind_->normalize(text, base, out);
  }

  std::string decode(std::span<const std::string_view> tokens) const { return kind_->decode(tokens); }

 private:
  struct AnyRun {
    virtual ~AnyRun() = default;
    virtual void append_raw(std::size_t from, std::size_t to) = 0;
    virtual void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) = 0;
    virtual void append_added_token(std::uint32_t id, Span origin) = 0;
    virtual TokenSequence& tokens() = 0;
  };

  struct AnyKind {
    virtual ~AnyKind() = default;
    virtual const StoredStrings& strings() const = 0;
    virtual std::optional<std::uint32_t> find(std::string_view token) const = 0;
    virtual void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const = 0;
    virtual std::string decode(std::span<const std::string_view> tokens) const = 0;
    virtual std::unique_ptr<AnyRun> run(std::string_view text, const Stop& stop) const = 0;
  };

  template <class Kind>
  struct RunOf final : AnyRun {
    RunOf(const Kind& kind, std::string_view text, const Stop& stop) : its(kind, text, stop) {}
    void append_raw(std::size_t from, std::size_t to) override { its.append_raw(from, to); }
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) override {
      its.append_normalized(part, from, to);
    }
    void append_added_token(std::uint32_t id, Span origin) override { its.append_added_token(id, origin); }
    TokenSequence& tokens() override { return its.tokens(); }
    typename Kind::Run its;
  };

  template <class Kind>
  struct KindOf final : AnyKind {
    explicit KindOf(Kind kind) : its(std::move(kind)) {}
    const StoredStrings& strings() const override { return its.strings(); }
    std::optional<std::uint32_t> find(std::string_view token) const override { return its.find(token); }
    void normalize(std::string_view text, std::uint32_t base, NormalizedText& out) const override {
      its.normalize(text, base, out);
    }
    std::string decode(std::span<const std::string_view> tokens) const override { return its.decode(tokens); }
    std::unique_ptr<AnyRun> run(std::string_view text, const Stop& stop) const override {
      return std::make_unique<RunOf<Kind>>(its, text, stop);
    }
    Kind its;
  };

  std::shared_ptr<const AnyKind> kind_;

 public:
  /// One call: that of the kind.
  class Run {
   public:
    Run(const OtherKind& kind, std::string_view text, const Stop& stop) : run_(kind.kind_->run(text, stop)) {}
    void append_raw(std::size_t from, std::size_t to) { run_->append_raw(from, to); }
    void append_normalized(const NormalizedText& part, std::size_t from, std::size_t to) {
      run_->append_normalized(part, from, to);
    }
    void append_added_token(std::uint32_t id, Span origin) { run_->append_added_token(id, origin); }
    TokenSequence& tokens() { return run_->tokens(); }

   private:
    std::unique_ptr<AnyRun> run_;
  };
};

BERTHA_NAMESPACE_END
