/* SPDX-License-Identifier: GPL-2.0-or-later
 * run.h - what the command does by itself, without a daemon to ask. argv[0] is the word
 * ("run", "down"); the result is the exit status. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

int run_main(int argc, char **argv);
int down_main(int argc, char **argv);
int list_main(int argc, char **argv);

#endif
