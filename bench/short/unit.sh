# SPDX-License-Identifier: MIT
# Prints a C file of about 2000 lines.
echo 'typedef unsigned long size_t; void *memset(void *, int, size_t);'
echo 'int printf(const char *, ...); struct s { int a[16]; struct s *next; double d; };'
for i in $(seq 0 124); do
    cat <<C
static int f$i(struct s *p, int n)
{
    int r = 0;
    for (int i = 0; i < n; i++) {
        r += p->a[i & 15] * $((i + 3));
        if (r & $((1 << i % 12)))
            p = p->next ? p->next : p;
        switch (r % $((3 + i % 5))) {
        case 0: r ^= $i; break;
        case 1: p->d += r * 1.5; break;
        case 2: r = (r << 3) | (r >> 2); break;
        default: memset(p->a, r & 7, sizeof p->a);
        }
    }
    return r;
}
C
done
echo 'int main(int c, char **v) { struct s s = {0}; int r = c;'
for i in $(seq 0 124); do echo "    r += f$i(&s, r & 15);"; done
echo '    printf("%d", r); return 0; }'
