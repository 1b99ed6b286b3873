/* SPDX-License-Identifier: MIT */
/* Victims that put in order, or remove, what others left; and what must hold behind
 * them. For the table of scenarios. */
#ifndef REPAIRS_H
#define REPAIRS_H

/* A block that a crash left with everything that can be repaired: in its data file, or
 * beside it. */
void before_left_in_block(void);
void before_left_in_files(void);
void victim_recover(void);

/* Recovered once more, and then in order; or a successor comes at once. */
void check_recovered(void);
void check_succeeded(void);

/* A closed block; one that lost its data file; one that a reader has open. */
void before_left_over(void);
void attend_with_user(void);
void victim_gc(void);

/* Collected once more, and then nothing is left; or a producer comes at once. */
void check_collected(void);
void check_created_instead(void);
void check_still_used(void);

#endif
