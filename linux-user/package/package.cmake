# SPDX-License-Identifier: MIT
# Installing and the Debian package: cmake --install build, cpack -G DEB --config
# build/CPackConfig.cmake.  Manual pages and the rule for binfmt_misc are printed by the
# programs themselves, so they are built here.
include(GNUInstallDirs)
set(package ${CMAKE_CURRENT_LIST_DIR})
set(made ${CMAKE_BINARY_DIR}/package)
file(MAKE_DIRECTORY ${made})

function(manual_page program)
  set(page ${made}/${program}.1.gz)
  add_custom_command(OUTPUT ${page}
    COMMAND sh -c "$<TARGET_FILE:${program}> -help >${made}/${program}.help"
    COMMAND sh -c "awk -v help=${made}/${program}.help -v version=${PROJECT_VERSION} \
                   -f ${package}/man.awk ${package}/${program}.man | gzip -9n >${page}"
    DEPENDS ${program} ${package}/man.awk ${package}/${program}.man VERBATIM)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(TARGETS ${program} RUNTIME)
  set_property(GLOBAL APPEND PROPERTY package_files ${page})
endfunction()

manual_page(tessera-riscv64)
manual_page(tessera-system-riscv64)

# Only in the package: /usr/lib is where systemd-binfmt looks at boot.
set(only ${made}/only)
set(rule ${only}/lib/binfmt.d/tessera-riscv64.conf)
file(MAKE_DIRECTORY ${only}/lib/binfmt.d)
add_custom_command(OUTPUT ${rule}
  COMMAND sh -c "$<TARGET_FILE:tessera-riscv64> -binfmt print | sed \
    's|:[^:]*:\\([A-Z]*\\)$|:/usr/bin/tessera-riscv64:\\1|' >${rule}"
  DEPENDS tessera-riscv64 VERBATIM)
configure_file(${package}/lintian ${only}/share/lintian/overrides/tessera COPYONLY)
set(CPACK_INSTALLED_DIRECTORIES ${only} usr)

install(FILES ${package}/completion.bash RENAME tessera-riscv64
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${package}/completion.bash RENAME tessera-system-riscv64
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)

install(FILES ${package}/completion.zsh RENAME _tessera
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)

configure_file(${package}/changelog ${made}/changelog)
add_custom_command(OUTPUT ${made}/changelog.gz
  COMMAND gzip -9nkf ${made}/changelog DEPENDS ${made}/changelog VERBATIM)
file(READ ${CMAKE_SOURCE_DIR}/LICENSE license)
string(REPLACE "\n\n" "\n.\n" license "${license}")
string(REGEX REPLACE "\n([^\n])" "\n \\1" license "${license}")
configure_file(${package}/copyright ${made}/copyright @ONLY)
install(FILES ${made}/changelog.gz ${made}/copyright ${CMAKE_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})

get_property(files GLOBAL PROPERTY package_files)
add_custom_target(package-files ALL DEPENDS ${files} ${rule} ${made}/changelog.gz)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tessera)
set(CPACK_PACKAGE_CONTACT "The Tessera authors <maintainers@tessera.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "dynamic binary translator for riscv64 programs and systems")
set(CPACK_PACKAGE_DESCRIPTION "tessera-riscv64 runs riscv64 Linux programs, also inside chroots and
containers, where the kernel starts it for them. tessera-system-riscv64 is
a RISC-V board that boots Linux distributions. Options are spelt as QEMU's.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION otherosfs)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${package}/postinst ${package}/prerm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
