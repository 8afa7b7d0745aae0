/* SPDX-License-Identifier: MIT */
/* GET /health (the process answers) and GET /health/ready (it takes work). Neither touches a worker
 * or an engine. */
#pragma once
struct exchange;

void health_alive(struct exchange *ex);
void health_ready(struct exchange *ex);
