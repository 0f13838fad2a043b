/* SPDX-License-Identifier: MIT */
/* version.h: the version of this tree; docs/stable.md says what stays the same between versions. */
#ifndef QUARRY_VERSION_H
#define QUARRY_VERSION_H

#define QUARRY_VERSION        "1.0.0"
#define QUARRY_VERSION_NUMBER 10000 /* major * 10000 + minor * 100 + patch */

#endif
