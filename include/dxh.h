/* SPDX-License-Identifier: MIT */
/* dxhub: data and commands between threads, processes and machines.
 *
 * Any thread posts; one thread owns every socket; a completion carries the
 * answer back; bulk bytes stay in shared memory and only their address travels.
 *
 * Rules of the whole API:
 * - Calls return a dxh_status; a failed call changed nothing and says why in
 *   dxh_last_error(). Ownership moves only on DXH_OK.
 * - A call with a config struct is a macro that passes the size of the struct
 *   first, so that a program built with an older header keeps working. {0} is
 *   a good config.
 * - Deadlines are absolute: dxh_in_ms(250), DXH_NOW, DXH_FOREVER.
 * - close takes the address of the pointer and sets it to NULL.
 * - Thread rules stand at each function; see dxh/base.h for their words.
 */
#ifndef DXH_H
#define DXH_H

#include <dxh/base.h>
#include <dxh/block.h>
#include <dxh/broker.h>
#include <dxh/channel.h>
#include <dxh/completion.h>
#include <dxh/consumer.h>
#include <dxh/describe.h>
#include <dxh/description.h>
#include <dxh/dispatch.h>
#include <dxh/drain.h>
#include <dxh/group.h>
#include <dxh/hub.h>
#include <dxh/inspect.h>
#include <dxh/message.h>
#include <dxh/metrics.h>
#include <dxh/pacer.h>
#include <dxh/schema.h>
#include <dxh/security.h>
#include <dxh/subscribe.h>
#include <dxh/watch.h>
#include <dxh/zone.h>

#endif
