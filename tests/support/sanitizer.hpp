// BERTHA_UNDER_SANITIZER: defined where a sanitizer takes stack and memory of its own, so that tests can't count them,
// and has locks around them, so that a child may wait for ever that is forked while other threads allocate.

#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BERTHA_UNDER_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BERTHA_UNDER_SANITIZER
#endif
#endif
