/* SPDX-License-Identifier: MIT */
/*
 * sched_point.h: names for the places where the order of two CPUs matters.
 *
 * A normal build compiles them to nothing.  A file that wants to stop a CPU there defines SCHED_POINT
 * before it includes the code that carries them.
 */
#ifndef QUARRY_SCHED_POINT_H
#define QUARRY_SCHED_POINT_H

#ifdef SCHED_POINT
#define sched_point(name) SCHED_POINT(name)
#else
#define sched_point(name) ((void)0)
#endif

#endif
