// A reference to something callable: what std::function is where nobody keeps it. Functions that take one are compiled
// once, and not again for each lambda.

#pragma once

#include <bertha/version.hpp>
#include <memory>
#include <type_traits>

BERTHA_NAMESPACE_BEGIN

/// Calls what it refers to, which must live as long: a temporary does until the call that it is handed to returns.
template <class... Arguments>
class FunctionRef {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>) FunctionRef(F&& callable)
  noexcept
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Arguments... arguments) {
          (*static_cast<std::remove_reference_t<F>*>(object))(static_cast<Arguments>(arguments)...);
        }) {}
  void operator()(Arguments... arguments) const { call_(object_, static_cast<Arguments>(arguments)...); }

 private:
  void* object_;
  void (*call_)(void*, Arguments...);
};

BERTHA_NAMESPACE_END
