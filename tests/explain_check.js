/* SPDX-License-Identifier: MIT */
/* Run: tests/explain, which puts this at the end of a page of guest/explained and reads
 * what it says in #result: one line for each thing that is wrong, then "checked N". */
'use strict';
{
  const wrong = [], result = document.createElement('pre');
  let n = 0;
  const check = (ok, what) => (n++, ok || wrong.push(what));
  const near = (a, b) => Math.abs(a - b) <= 1;
  const visible = () => [...document.querySelectorAll('.block')].filter((b) => !b.hidden);
  const ask = (text) => {
    $('q').value = text;
    $('q').dispatchEvent(new Event('input'));
    return visible();
  };
  const key = (k) => (document.activeElement || document.body)
    .dispatchEvent(new KeyboardEvent('keydown', {key: k, bubbles: true, cancelable: true}));
  const opened = (b) => (setOpen(b, true), $(b.id).querySelector('table.code'));

  /* Where the time went. */
  const shares = [...document.querySelectorAll('[data-share]')].map((e) => Number(e.dataset.share));
  const first = document.querySelector('.block .name').textContent;
  check(/^spin(\+|$)/.test(first), `the hottest block is ${first}`);
  check(shares.every((x, i) => x >= 0 && (i === 0 || x <= shares[i - 1] + 1e-12)), 'shares do not fall');
  const sum = D.blocks.concat(D.rest).reduce((s, b) => s + shareOf(b), 0);
  check(sum > 0.1 && sum <= 1 + 1e-9, `shares add up to ${sum}`);
  check(T.inside_ns <= T.total_ns * 1.001, 'more time inside than in all');
  check(T.threads === 2, `${T.threads} threads`);

  /* Counts are exact: main and the thread ran the division so often. */
  const ran = (b, re) => b.insns.filter((i) => re.test(i.t)).reduce((s, i) => s + i.n, 0);
  const divisions = D.blocks.filter((b) => b.s === 'spin').reduce((s, b) => s + ran(b, /^divu/), 0);
  check(divisions === 2 * 3000017, `${divisions} divisions, not ${2 * 3000017}`);
  const evil = D.blocks.filter((b) => /evil|<\/script>/.test(b.s));
  const rounds = evil.reduce((s, b) => s + ran(b, /^(c\.)?addi?\ta0,/), 0);
  check(rounds === 20000, `evil ran ${rounds} rounds`);

  /* A name is a name. */
  check(document.querySelectorAll('img').length === 0, 'a symbol became an element');
  check(evil.some((b) => $(b.id).querySelector('.name').textContent.includes('<\/script><img')),
    'the hostile name is not shown as it is');

  /* The columns of every block stand side by side, row by row. */
  for (const b of D.blocks.slice(0, 30)) {
    const rows = [...opened(b).querySelectorAll('tbody[data-a]')];
    const left = {};

    check(rows.length === b.insns.length, `${place(b)}: ${rows.length} rows`);
    for (const row of rows) {
      const cells = ['g', 'o', 'h'].map((c) => row.querySelector('td.' + c));
      const boxes = cells.map((c) => c.getBoundingClientRect());

      check(near(boxes[0].top, boxes[1].top) && near(boxes[1].top, boxes[2].top), `${place(b)}: a row is torn`);
      check(boxes[0].right <= boxes[1].left + 1 && boxes[1].right <= boxes[2].left + 1, `${place(b)}: columns overlap`);
      boxes.forEach((box, i) => check(near(left[i] ??= box.left, box.left), `${place(b)}: a column is bent`));
      for (const tr of row.querySelectorAll('tr:not(.where)')) {
        const [o, h] = ['o', 'h'].map((c) => tr.querySelector('td.' + c).getBoundingClientRect());
        check(near(o.top, h.top), `${place(b)}: an op beside another's code`);
      }
    }
    const bytes = b.entry.concat(b.ops.flatMap((o) => o.h), b.ways.flatMap((w) => w.h));
    const ends = bytes.map(([at, h]) => [at, at + h.length / 2]).sort((x, y) => x[0] - y[0]);
    check(ends.every(([at], i) => i === 0 || at >= ends[i - 1][1]), `${place(b)}: code shown twice`);
    check(b.ways.every((w) => w.h.length), `${place(b)}: a way out without code`);
  }
  const loop = D.blocks[0], text = opened(loop).textContent;
  check(loop.loops && loop.trace && /\u21ba top/.test(text), 'the hot loop is no loop');
  check(/divu?/.test(text) && text.includes('guest instruction'), 'the division is not shown');

  /* Code written over itself. */
  const versions = D.blocks.filter((b) => b.insns.some((i) => /^(c\.)?li\ta0,[1-5]$/.test(i.t) || /^addi\ta0,zero,[1-5]$/.test(i.t)) && b.s === undefined);
  check(versions.length === 5 && versions.every((b) => b.others >= 4), `${versions.length} versions of what is rewritten`);
  check(versions.every((b) => b.runs === 10), 'a version ran other than 10 times');
  check(versions.every((b) => $(b.id).textContent.includes('self-modified')), 'no mark on self-modified code');

  /* Search. */
  check(ask('divu').length > 0 && ask('divu').every((e) => e.textContent && textOf(D.blocks[e.id.slice(1) - 1]).includes('divu')), 'search for a mnemonic');
  check(ask('spin').some((e) => e.id === 'b1'), 'search for a function');
  check(ask('0x' + loop.insns[1].a).some((e) => e.id === 'b1'), 'search for an address inside a block');
  check(ask('no such thing').length === 0 && $('found').textContent.startsWith('0 '), 'search for nothing');
  check(location.hash.startsWith('#q=no'), 'the search is not in the address');
  check(ask('').length === D.blocks.length, 'search does not end');
  check([...document.querySelectorAll('a.go')].every((a) => $(a.getAttribute('href').slice(1))), 'a link to nowhere');

  /* Keys. */
  key('/');
  check(document.activeElement === $('q'), '/ does not go to the search');
  $('q').blur();
  key('j');
  check(document.activeElement === $('b1').firstChild, 'j does not go to the first block');
  key('j');
  check(document.activeElement === $('b2').firstChild, 'j does not go on');
  key('c');
  check(!document.querySelector('.opened'), 'c does not close');
  key('t');
  check(document.documentElement.dataset.theme, 't does not change the theme');

  result.id = 'result';
  result.textContent = wrong.concat([`checked ${n}`]).join('\n');
  document.body.append(result);
}
