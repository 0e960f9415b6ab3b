/* What a position is worth, in hundredths of a pawn. */
#ifndef CHESS_EVALUATE_H
#define CHESS_EVALUATE_H

#include "board.h"

extern const int32_t piece_value[KINDS + 1];

/* To be called before any board is made. */
void evaluate_tables(void);
/* As the side to move sees it. */
int32_t evaluate(const struct board *b);
/* What the exchanges on the target square win or lose, both sides taking with their
 * cheapest piece as long as it pays. */
int32_t exchange(const struct board *b, move m);

#endif
