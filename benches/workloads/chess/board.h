/* The position: bitboards and a mailbox side by side, make and unmake, the moves.
 * Square 0 is a1, 7 is h1, 63 is h8. */
#ifndef CHESS_BOARD_H
#define CHESS_BOARD_H

#include "../common/workload.h"

typedef uint64_t bitboard;

enum { PAWN, KNIGHT, BISHOP, ROOK, QUEEN, KING, NO_PIECE, KINDS = 6 };
enum { WHITE, BLACK };
enum { CASTLE_WHITE_SHORT = 1, CASTLE_WHITE_LONG = 2, CASTLE_BLACK_SHORT = 4, CASTLE_BLACK_LONG = 8 };
enum { NO_SQUARE = 64, MOVES_MAX = 256, HISTORY_MAX = 1024 };

/* from | to << 6 | promotion << 12; 0 is no move. */
typedef uint16_t move;

static inline uint32_t move_from(move m) { return m & 63; }
static inline uint32_t move_to(move m) { return m >> 6 & 63; }
static inline uint32_t move_promotion(move m) { return m >> 12; } /* a kind or 0 */

/* What unmake cannot work out. */
struct undo {
    uint64_t key;
    uint8_t captured, castling, en_passant, fifty;
};

struct board {
    bitboard kinds[KINDS], sides[2];
    uint8_t at[64];                    /* the kind on each square */
    uint8_t turn, castling;
    uint8_t en_passant;                /* only set when a pawn stands ready to take */
    uint8_t fifty;                     /* halfmoves without capture or pawn move, up to 255 */
    uint64_t key;
    int32_t middle[2], end[2], phase;  /* sums over the pieces, kept by make and unmake */
    uint32_t plies;
    struct undo history[HISTORY_MAX];
};

/* What a piece on a square is worth in the middle game and in the end game. */
extern int32_t worth_middle[2][KINDS][64], worth_end[2][KINDS][64];
extern const int32_t phase_weight[KINDS];

extern bitboard knight_attacks[64], king_attacks[64], pawn_attacks[2][64];
bitboard bishop_attacks(uint32_t square, bitboard occupied);
bitboard rook_attacks(uint32_t square, bitboard occupied);

static inline uint32_t lowest(bitboard b) { return (uint32_t)__builtin_ctzll(b); }
static inline uint32_t count(bitboard b) { return (uint32_t)__builtin_popcountll(b); }
static inline uint32_t take_lowest(bitboard *b) {
    uint32_t square = lowest(*b);
    *b &= *b - 1;
    return square;
}
static inline bitboard bit(uint32_t square) { return UINT64_C(1) << square; }

void board_tables(void);
void board_read(struct board *b, const char *fen);
/* All pieces of both sides that attack the square. */
bitboard attackers(const struct board *b, uint32_t square, bitboard occupied);
bool in_check(const struct board *b, uint32_t side);
/* Plays a pseudo-legal move; false, with nothing changed, if it leaves the king in check. */
bool make(struct board *b, move m);
void unmake(struct board *b, move m);
void make_null(struct board *b);
void unmake_null(struct board *b);
/* Pseudo-legal moves; with `loud` only captures and queen promotions. */
uint32_t generate(const struct board *b, move *list, bool loud);
bool repeated(const struct board *b);
uint64_t perft(struct board *b, uint32_t depth);
/* Fails unless key and sums are what the pieces give. */
void board_check(const struct board *b);

#endif
