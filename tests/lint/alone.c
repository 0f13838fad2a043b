/* SPDX-License-Identifier: MIT */
/*
 * alone.c: a program that needs kernel/, which the objects of build/alone must not give
 * (tools/lint/analyse.py).
 */
void sched_tick(void);

int main(void)
{
	sched_tick();
	return 0;
}
