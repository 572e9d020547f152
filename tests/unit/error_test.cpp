#include <gtest/gtest.h>
#include <bertha/error.hpp>

namespace {

using bertha::concat;
using bertha::Error;
using bertha::ErrorCode;
using bertha::throw_error;

TEST(Error, IsMadeOfPiecesOfTextAndIntegersOfAnySize) {
  const std::string name = "weight";
  EXPECT_EQ(
      concat({name, " has ", std::size_t{18446744073709551615u}, " rows, ", -9223372036854775807, " and ", 'a' - 'b'}),
      "weight has 18446744073709551615 rows, -9223372036854775807 and -1");
  EXPECT_EQ(concat({}), "");
}

TEST(Error, CarriesItsCodeAndTheItemThatIsAtFault) {
  try {
    throw_error(ErrorCode::shape, {"row ", 3});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::shape);
    EXPECT_STREQ(error.what(), "row 3");
    EXPECT_FALSE(error.item());
  }
  EXPECT_EQ(Error(ErrorCode::input, "bad", 7).item(), std::size_t{7});
}

TEST(Shown, IsShortAndAscii) {
  EXPECT_EQ(bertha::detail::shown(""), "\"\"");
  EXPECT_EQ(bertha::detail::shown("a\xC3\xA9\n\x7F~"), "\"a????~\"");
  EXPECT_EQ(bertha::detail::shown(std::string(60, 'x')), '"' + std::string(60, 'x') + '"');
  EXPECT_EQ(bertha::detail::shown(std::string(1000000, 'x')), '"' + std::string(60, 'x') + "...\"");
}

}  // namespace
