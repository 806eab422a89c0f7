/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Signals write a byte into a pipe that the loop waits for. What kills at once (a defect)
 * puts the terminal back first, with what was worked out at the start: nothing of ncurses
 * may be called then. The handlers are why there are variables of the file's own here. */
#include "cli/term.h"
#include "base/macros.h"
#include "base/text.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

enum { PUT_MAX = 4096, ESC_WAIT_MS = 25 };

static struct {
	SCREEN *screen;
	int pipe[2];
	bool utf8, colours;
	struct termios was;
	char leave[128]; /* ends what ncurses began, for who may not call it */
	size_t leave_len;
} term;

static void on_signal(int number)
{
	int kept = errno;
	char c = number == SIGWINCH ? 'w' : 'e';

	if (write(term.pipe[1], &c, 1) < 0)
		errno = kept; /* full: it is awake already */
	errno = kept;
}

static void on_defect(int number)
{
	ssize_t n = write(STDOUT_FILENO, term.leave, term.leave_len);

	(void)n;
	tcsetattr(STDIN_FILENO, TCSANOW, &term.was);
	raise(number); /* SA_RESETHAND: as it would have been */
}

static void handle(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	static const int defects[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction soft = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction hard = { .sa_handler = on_defect,
		.sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		sigaction(ends[i], &soft, NULL);
	for (size_t i = 0; i < ARRAY_LEN(defects); i++)
		sigaction(defects[i], &hard, NULL);
}

static void add_leave(struct text *t, const char *capability)
{
	const char *s = tigetstr(capability);

	if (s && s != (char *)-1)
		text_add(t, s);
}

static void know_how_to_leave(void)
{
	struct text t = text_into(term.leave, sizeof(term.leave));

	add_leave(&t, "sgr0");
	add_leave(&t, "rmkx");
	add_leave(&t, "cnorm");
	add_leave(&t, "rmcup");
	term.leave_len = t.len;
}

static void choose_colours(void)
{
	static const short codes[] = { [TERM_GREEN] = COLOR_GREEN, [TERM_RED] = COLOR_RED,
		[TERM_YELLOW] = COLOR_YELLOW, [TERM_CYAN] = COLOR_CYAN };
	const char *no = getenv("NO_COLOR");

	if ((no && *no) || !has_colors() || start_color() == ERR)
		return;
	use_default_colors();
	for (short i = TERM_GREEN; i <= TERM_CYAN; i++)
		init_pair(i, codes[i], -1);
	term.colours = true;
}

int term_open(char why[static TERM_WHY_MAX])
{
	const char *name = getenv("TERM");
	struct text t = text_into(why, TERM_WHY_MAX);

	setlocale(LC_ALL, "");
	term.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
		tcgetattr(STDIN_FILENO, &term.was) < 0) {
		text_add(&t, "this is no terminal");
		return -ENOTTY;
	}
	if (pipe2(term.pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	term.screen = newterm(NULL, stdout, stdin);
	if (!term.screen || !tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		term_close();
		text_add(&t, "TERM=");
		text_add_safe(&t, name ? name : "");
		text_add(&t, " is no terminal that can draw");
		return -ENOTTY;
	}
	set_term(term.screen);
	know_how_to_leave();
	handle();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESC_WAIT_MS);
	typeahead(-1); /* a key that waits leaves no picture half drawn */
	curs_set(0);
	choose_colours();
	return 0;
}

void term_close(void)
{
	if (!term.screen)
		return;
	endwin();
	delscreen(term.screen);
	term.screen = NULL;
	close(term.pipe[0]);
	close(term.pipe[1]);
}

int term_fd(void)
{
	return term.pipe[0];
}

static void resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

enum term_event term_event(void)
{
	enum term_event event = TERM_NOTHING;
	char c;

	while (read(term.pipe[0], &c, 1) == 1) {
		if (c == 'e')
			event = TERM_END;
		else if (event == TERM_NOTHING)
			event = TERM_RESIZED;
	}
	if (event == TERM_RESIZED)
		resize();
	return event;
}

bool term_utf8(void)
{
	return term.utf8;
}

unsigned long term_colour(enum term_colour c)
{
	return term.colours && c ? COLOR_PAIR(c) : 0;
}

/* bytes of the character at s and its cells; what this locale cannot show is '?' */
static size_t character(const char *s, int *cells, bool *shown)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n = mbrtowc(&c, s, MB_CUR_MAX, &state);

	*shown = n != (size_t)-1 && n != (size_t)-2 && n > 0 && wcwidth(c) >= 0;
	*cells = *shown ? wcwidth(c) : 1;
	if (*shown)
		return n;
	for (n = 1; ((unsigned char)s[n] & 0xc0) == 0x80;)
		n++;
	return n;
}

/* text cut to width cells; *whole: nothing was left out. Returns the cells it takes. */
static int fit(const char *text, int width, struct text *out, bool *whole)
{
	int taken = 0, cells;
	bool shown;

	*whole = true;
	while (*text) {
		size_t n = character(text, &cells, &shown);

		if (taken + cells > width) {
			*whole = false;
			break;
		}
		text_addn(out, shown ? text : "?", shown ? n : 1);
		taken += cells;
		text += n;
	}
	return taken;
}

int term_put(int y, int x, int width, const char *text)
{
	char bytes[PUT_MAX];
	struct text t = text_into(bytes, sizeof(bytes));
	bool whole;
	int taken;

	if (width <= 0)
		return 0;
	taken = fit(text, width, &t, &whole);
	if (!whole) {
		t = text_into(bytes, sizeof(bytes));
		taken = fit(text, width - 1, &t, &whole);
		text_add(&t, term.utf8 ? "\u2026" : "~");
		taken++;
	}
	mvaddstr(y, x, bytes);
	for (int i = taken; i < width; i++)
		addch(' ');
	return taken;
}

void term_put_right(int y, int x, int width, const char *text)
{
	char bytes[PUT_MAX];
	struct text t = text_into(bytes, sizeof(bytes));
	bool whole;
	int taken = fit(text, width, &t, &whole);

	if (!whole) {
		term_put(y, x, width, text);
		return;
	}
	move(y, x);
	for (int i = taken; i < width; i++)
		addch(' ');
	addstr(bytes);
}
