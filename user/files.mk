# SPDX-License-Identifier: MIT

# Programs for ring 3.
PROGRAMS += init
PROGRAMS += hello
PROGRAMS += abi
PROGRAMS += stress
PROGRAMS += fuzz
PROGRAMS += fault
PROGRAMS += fpu
PROGRAMS += pager
PROGRAMS += paged
PROGRAMS += packer
PROGRAMS += over
PROGRAMS += hog
PROGRAMS += bench
PROGRAMS += promise
PROGRAMS += lost
