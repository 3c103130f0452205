/* A plugin of QEMU's user mode (its interface's version 1, QEMU 4.2 to 8): how many instructions an arm64 program executes,
 * and how many fused multiply-adds of vectors, each counted as many times as it has lanes. Printed as JSON at the end.
 * Instructions are counted by the block QEMU translates at once, so that counting costs little. With the argument
 * blocks=FILE it lists the blocks there: address, instructions, multiply-adds, and how often they were executed. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of qemu-plugin.h, which distributions do not ship. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *to, uint64_t value);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
enum { ADD = 0 };

#define PUBLIC __attribute__((visibility("default")))
PUBLIC int qemu_plugin_version = 1;

struct block {
    struct block *next;
    uint64_t executed, instructions, multiply_adds, address;
};

static struct block *blocks;
static FILE *listing; /* of every block, where it is asked for */

/* FMLA and FMLS (Arm Architecture Reference Manual for A-profile, C7.2): of vectors, and of a vector and one element. */
static const struct {
    uint32_t mask, value;
    int lanes; /* of 128 bits */
} multiply_adds[] = {
    {0xbf60fc00, 0x0e20cc00, 4},  /* fp32 */
    {0xbfc0b400, 0x0f801000, 4},  /* fp32 by element */
    {0xbf60fc00, 0x0e400c00, 8},  /* fp16 */
    {0xbfc0b400, 0x0f001000, 8},  /* fp16 by element */
};

static int lanes_of_multiply_add(uint32_t word) {
    for (size_t i = 0; i < sizeof multiply_adds / sizeof *multiply_adds; ++i)
        if ((word & multiply_adds[i].mask) == multiply_adds[i].value)
            return word >> 30 & 1 ? multiply_adds[i].lanes : multiply_adds[i].lanes / 2;
    return 0;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *code) {
    (void)id;
    struct block *block = calloc(1, sizeof *block);
    if (!block) abort();
    block->instructions = qemu_plugin_tb_n_insns(code);
    block->address = qemu_plugin_tb_vaddr(code);
    for (size_t i = 0; i < block->instructions; ++i) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(code, i)), sizeof word);
        block->multiply_adds += (uint64_t)lanes_of_multiply_add(word);
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(code, ADD, &block->executed, 1);
}

static void finish(qemu_plugin_id_t id, void *nothing) {
    (void)id, (void)nothing;
    uint64_t instructions = 0, sum = 0;
    for (const struct block *block = blocks; block; block = block->next) {
        instructions += block->executed * block->instructions;
        sum += block->executed * block->multiply_adds;
        if (listing && block->executed)
            fprintf(listing, "%" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", block->address, block->instructions,
                    block->multiply_adds, block->executed);
    }
    if (listing) fclose(listing);
    fprintf(stderr, "{\"instructions\": %" PRIu64 ", \"multiply_adds\": %" PRIu64 "}\n", instructions, sum);
}

PUBLIC int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count, char **arguments) {
    (void)info;
    if (count && !strncmp(arguments[0], "blocks=", 7) && !(listing = fopen(arguments[0] + 7, "w"))) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
