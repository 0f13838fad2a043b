/* SPDX-License-Identifier: MIT */
/* mm_priv.h: the internal headers of mm/, for tests/; no source of mm/ includes it. */
#ifndef QUARRY_TESTS_MM_PRIV_H
#define QUARRY_TESTS_MM_PRIV_H

#include "mm/check/check.h"
#include "mm/core/buddy.h"
#include "mm/core/drain.h"
#include "mm/core/event.h"
#include "mm/core/page.h"
#include "mm/core/pcp.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include "mm/hotplug/offline.h"
#include "mm/reclaim/reclaim.h"
#include <quarry/contig.h>
#include <quarry/sched_point.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER) /* the first pfn of pageblock @n */

#endif
