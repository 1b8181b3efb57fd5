# One place for compiler flags: warnings are errors, release builds are hardened and link-time optimised.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wswitch-enum -Wvla -Werror -fno-common)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-O2 -g1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
                      -fcf-protection=full -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -flto=auto)
  add_link_options(-flto=auto -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code)
endif()

if(PENSTOCK_SANITIZER)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZER} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZER})
endif()

if(PENSTOCK_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -O1 -g)
  add_link_options(-fsanitize=address,undefined)
endif()

if(PENSTOCK_CRASH_POINTS)
  add_compile_definitions(PENSTOCK_CRASH_POINTS=1)
endif()
