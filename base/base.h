/* SPDX-License-Identifier: MIT */
/* base/: what every other folder stands on; it knows nothing of models. This is its public header.
 */
#pragma once
#include "base/arena.h"
#include "base/checked.h"
#include "base/escape.h"
#include "base/hash.h"
#include "base/half.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/os_wait.h"
#include "base/queue.h"
#include "base/status.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/pool.h"
#include "base/utf8.h"
