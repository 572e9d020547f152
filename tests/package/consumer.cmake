# Builds and runs consumer/ as a user would: cmake -D ROUTE=find_package|add_subdirectory|FetchContent -D ... -P consumer.cmake
# WORK is a folder to build in, BUILD bertha's build folder, SOURCE bertha's sources, GENERATOR and COMPILER its own,
# PREFIX_PATH where its dependencies are, PYTHON the interpreter of the other tests, SENTENCEPIECE whether its library is
# installed.

file(REMOVE_RECURSE ${WORK})
set(options -D ROUTE=${ROUTE} -D SENTENCEPIECE=${SENTENCEPIECE} -D CMAKE_CXX_COMPILER=${COMPILER})
list(JOIN PREFIX_PATH ":" prefix_path)
set(ENV{CMAKE_PREFIX_PATH} "${prefix_path}")
if(ROUTE STREQUAL "find_package")
  # Moved after it was installed: nothing in it may name the place.
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
  set(prefix ${WORK}/prefix)
  file(RENAME ${WORK}/first ${prefix})
  list(APPEND options -D bertha_ROOT=${prefix})

  file(GLOB_RECURSE installed RELATIVE ${prefix} ${prefix}/*)
  foreach(file IN ITEMS "lib.*/cmake/bertha/berthaConfig.cmake" "lib.*/libbertha_compiled.a" share/doc/bertha/LICENSE
                        share/doc/bertha/format.md share/bertha/bertha_convert/cli.py include/bertha/bertha.hpp
                        include/bertha/sentencepiece.hpp)
    if(NOT installed MATCHES "(^|;)${file}(;|$)")
      message(FATAL_ERROR "not installed: ${file}")
    endif()
  endforeach()
  # Through a link, as programs in ~/bin often are. Without its packages the converter says which it lacks.
  file(CREATE_LINK ${prefix}/bin/bertha-convert ${WORK}/convert SYMBOLIC)
  cmake_path(GET PYTHON PARENT_PATH python_folder)
  set(ENV{PATH} "${python_folder}:$ENV{PATH}")
  execute_process(COMMAND ${WORK}/convert --help OUTPUT_VARIABLE help ERROR_VARIABLE help)
  if(NOT help MATCHES "FOLDER|needed are")
    message(FATAL_ERROR "bertha-convert doesn't run the converter: ${help}")
  endif()
elseif(ROUTE STREQUAL "add_subdirectory")
  list(APPEND options -D BERTHA_FOLDER=${SOURCE})
else()
  list(APPEND options -D FETCHCONTENT_SOURCE_DIR_BERTHA=${SOURCE})
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${WORK}/build -G ${GENERATOR} ${options}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/build COMMAND_ERROR_IS_FATAL ANY)
set(ran 0)
foreach(program IN ITEMS consumer consumer_compiled consumer_sentencepiece consumer_user)
  if(EXISTS ${WORK}/build/${program})
    execute_process(COMMAND ${WORK}/build/${program} COMMAND_ERROR_IS_FATAL ANY)
    math(EXPR ran "${ran} + 1")
  endif()
endforeach()
if(ran EQUAL 0)
  message(FATAL_ERROR "no program was built")
endif()
