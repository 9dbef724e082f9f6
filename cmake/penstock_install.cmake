# What is installed: all headers, whatever rooms are on, and the package config, which looks for the rooms' libraries at the consumer.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/penstock")
configure_package_config_file(cmake/penstockConfig.cmake.in penstockConfig.cmake
  INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(penstockConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(DIRECTORY include/penstock DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT penstock
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/penstockConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/penstockConfigVersion.cmake"
  cmake/penstock_rooms.cmake DESTINATION "${package_dir}" COMPONENT penstock)
install(FILES cmake/penstock_torch.cmake DESTINATION "${package_dir}" COMPONENT penstock OPTIONAL)
install(DIRECTORY cmake/rooms DESTINATION "${package_dir}" COMPONENT penstock FILES_MATCHING PATTERN "*.cmake")
install(DIRECTORY cmake/find DESTINATION "${package_dir}" COMPONENT penstock OPTIONAL FILES_MATCHING PATTERN "*.cmake")
