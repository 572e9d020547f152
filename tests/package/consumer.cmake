# Builds and runs consumer/ as a user would: cmake -D ROUTE=find_package|add_subdirectory -D ... -P consumer.cmake
# WORK is a folder to build in, BUILD bertha's build folder, SOURCE bertha's sources, GENERATOR and COMPILER its own,
# PREFIX_PATH where its dependencies are.

file(REMOVE_RECURSE ${WORK})
set(options -D CMAKE_CXX_COMPILER=${COMPILER})
list(JOIN PREFIX_PATH ":" prefix_path)
set(ENV{CMAKE_PREFIX_PATH} "${prefix_path}")
if(ROUTE STREQUAL "find_package")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix
                  COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
  list(APPEND options -D bertha_ROOT=${WORK}/prefix)
else()
  list(APPEND options -D BERTHA_FOLDER=${SOURCE})
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${WORK}/build -G ${GENERATOR} ${options}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/build/consumer COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/build/consumer_compiled COMMAND_ERROR_IS_FATAL ANY)
