// Which level runs: the CPU's best, or the one that BERTHA_ISA names.

#include <algorithm>
#include <bertha/error.hpp>
#include <cstdlib>

#include "support.hpp"

namespace bertha::testing {
namespace {

/// The message of the Error{unsupported} that choosing `name` throws, or nothing.
std::string refusal(std::string_view name, const std::vector<const kernels::Table*>& tables) {
  try {
    kernels::select_table(name, tables);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    return error.what();
  }
  return {};
}

TEST(Table, OffersScalarFirstAndTheBestLevelLast) {
  const auto& tables = kernels::available();
  ASSERT_FALSE(tables.empty());
  EXPECT_EQ(tables.front()->level, "scalar");
#if defined(__x86_64__)
  const auto features = kernels::cpu_features();
  EXPECT_EQ(tables.back()->level, features.amx           ? "amx"
                                  : features.avx512_bf16 ? "avx512_bf16"
                                  : features.avx512_vnni ? "avx512_vnni"
                                  : features.avx512      ? "avx512"
                                  : features.avx2_vnni   ? "avx2_vnni"
                                  : features.avx2        ? "avx2"
                                                         : "scalar");
#elif defined(__aarch64__)
  EXPECT_EQ(tables.back()->level, kernels::cpu_features().neon_dot ? "neon_dot" : "neon");
#endif
  EXPECT_EQ(&kernels::select_table("", tables), tables.back());
}

TEST(Table, FindsEveryLevelByName) {
  for (const kernels::Table* table : kernels::available())
    EXPECT_EQ(&kernels::select_table(table->level, kernels::available()), table);
}

TEST(Table, RefusesAnUnknownLevelAndNamesTheOnesThereAre) {
  const std::string message = refusal("avx1024", kernels::available());
  EXPECT_NE(message.find("'avx1024'"), std::string::npos) << message;
  for (const kernels::Table* table : kernels::available())
    EXPECT_NE(message.find(table->level), std::string::npos) << message;
}

TEST(Table, RefusesALevelThatTheCpuLacksAndNamesTheOnesItHas) {
  const auto poor = kernels::tables_for({});
  ASSERT_EQ(poor.size(), 1u);
  for (const kernels::Table* table : kernels::tables_for(kernels::CpuFeatures::all())) {
    const std::string message = refusal(table->level, poor);
    if (table->level == "scalar") {
      EXPECT_EQ(message, "");
    } else {
      EXPECT_NE(message.find("CPU can't run"), std::string::npos) << message;
      EXPECT_NE(message.find("scalar"), std::string::npos) << message;
    }
  }
}

/// What a level has of its own, over another or (of no base) as a whole.
struct Level {
  std::string_view name, base;
  std::vector<std::string_view> own;
  bool has(std::string_view operation) const {
    const bool split = operation.find("split") != std::string_view::npos;
    return base.empty() ? !split : std::find(own.begin(), own.end(), operation) != own.end();
  }
};
const std::vector<Level> kLevels = {{"scalar", "", {}},
                                    {"neon", "", {}},
                                    {"neon_dot", "neon", {"gemm_s8", "attention_s8"}},
                                    {"avx2", "", {}},
                                    {"avx2_vnni", "avx2", {"gemm_s8", "attention_s8", "pack_quantised"}},
                                    {"avx512", "", {}},
                                    {"avx512_vnni", "avx512", {"gemm_s8", "attention_s8", "pack_quantised"}},
                                    {"avx512_bf16", "avx512_vnni", {"gemm_bf16", "attention_bf16"}},
                                    {"amx",
                                     "avx512_bf16",
                                     {"gemm_s8", "pack_quantised", "gemm_bf16", "attention_bf16", "pack_rows",
                                      "gemm_split", "split_rows", "split_panels"}}};

bool stands_on(std::string_view level, std::string_view base) {
  if (level == base) return true;
  for (const Level& known : kLevels)
    if (known.name == level) return !known.base.empty() && stands_on(known.base, base);
  return false;
}

TEST(Table, NamesTheLevelThatEachFunctionIsOf) {
  for (const kernels::Table* table : kernels::tables_for(kernels::CpuFeatures::all())) {
    std::size_t operations = 0;
    kernels::for_each_slot([&]<auto slot>(std::string_view operation) {
      std::string_view expected = "none";
      for (const Level& level : kLevels)
        if (level.has(operation) && stands_on(table->level, level.name)) expected = level.name;
      EXPECT_EQ((table->*slot).level, expected) << operation;
      EXPECT_EQ(static_cast<bool>(table->*slot), expected != "none") << operation;
      ++operations;
    });
    EXPECT_EQ(operations, kernels::kOperations);
  }
}

TEST(Table, OfALevelOverAnotherHasItsOwnFunctionsAndTheOthers) {
  const kernels::Table& base = *kernels::available().front();
  const kernels::Table own = {.level = "own", .softmax = {base.sigmoid.run}};
  const kernels::Table over = kernels::level_over(base, own);
  EXPECT_EQ(over.level, "own");
  EXPECT_EQ(over.softmax.run, base.sigmoid.run);
  EXPECT_EQ(over.softmax.level, "own");
  EXPECT_EQ(over.sigmoid.run, base.sigmoid.run);
  EXPECT_EQ(over.sigmoid.level, base.level);
  EXPECT_FALSE(over.gemm_split);
}

std::vector<std::string> asked;
bool refuses_the_best(const kernels::Table& table) {
  asked.emplace_back(table.level);
  return &table != kernels::tables_for(kernels::CpuFeatures::all()).back();
}

TEST(Table, AsksTheSystemOnlyForWhatIsToBeUsed) {
  const auto all = kernels::tables_for(kernels::CpuFeatures::all());
  asked.clear();
  EXPECT_EQ(&kernels::select_table("scalar", all, refuses_the_best), all.front());
  EXPECT_EQ(asked, std::vector<std::string>{"scalar"});
  asked.clear();
  EXPECT_EQ(&kernels::select_table("", all, refuses_the_best), all[all.size() - 2]);
  EXPECT_EQ(asked.size(), 2u);
}

TEST(Table, RefusesALevelThatTheSystemDoesNotPermit) {
  const auto all = kernels::tables_for(kernels::CpuFeatures::all());
  try {
    kernels::select_table(all.back()->level, all, refuses_the_best);
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(std::string_view(error.what()).find("the system refuses"), std::string_view::npos) << error.what();
  }
}

// table() is chosen once in a process, so each choice is made in a child.
TEST(TableDeathTest, ObeysBerthaIsa) {
  for (const kernels::Table* table : kernels::available())
    EXPECT_EXIT(
        {
          ::setenv("BERTHA_ISA", std::string(table->level).c_str(), 1);
          std::exit(&kernels::table() == table ? 0 : 1);
        },
        ::testing::ExitedWithCode(0), "");
}

TEST(TableDeathTest, TakesTheBestLevelWhenBerthaIsaIsEmptyOrUnset) {
  EXPECT_EXIT(
      {
        ::setenv("BERTHA_ISA", "", 1);
        std::exit(&kernels::table() == kernels::available().back() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        ::unsetenv("BERTHA_ISA");
        std::exit(&kernels::table() == kernels::available().back() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(TableDeathTest, ThrowsForAnUnknownBerthaIsaEveryTime) {
  EXPECT_EXIT(
      {
        ::setenv("BERTHA_ISA", "none", 1);
        int thrown = 0;
        for (int i = 0; i < 2; ++i) try {
            kernels::table();
          } catch (const Error& error) {
            thrown += error.code() == ErrorCode::unsupported;
          }
        std::exit(thrown == 2 ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace bertha::testing
