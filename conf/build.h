/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which build of the version this is, made at build time: the version and the git commit, if it was built
 * from one, or what -Dbuild_name says.
 */
const char *build_name(void);
