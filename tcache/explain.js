/* SPDX-License-Identifier: MIT */
/* Shows the run in #data.  Everything that came from the run goes through text nodes. */
'use strict';

const D = JSON.parse(document.getElementById('data').textContent);
const T = D.totals;
const $ = (id) => document.getElementById(id);

/* ---- making elements ---- */

/* el('td.g', {title: '...'}, child, ...): children are elements, strings, null. */
function el(what, attributes, ...children) {
  const [tag, ...classes] = what.split('.');
  const e = document.createElement(tag);

  if (classes.length) e.className = classes.join(' ');
  for (const [k, v] of Object.entries(attributes || {}))
    if (v !== null && v !== undefined && v !== false) e.setAttribute(k, v);
  add(e, ...children);
  return e;
}

function add(e, ...children) {
  for (const c of children.flat())
    if (c !== null && c !== undefined) e.append(c);
  return e;
}

/* ---- numbers ---- */

function short(n) {
  const units = ['', ' k', ' M', ' G', ' T', ' P'];
  let u = 0;

  while (n >= 9999.5 && u < units.length - 1) n /= 1000, u++;
  return (u && n < 100 ? n.toFixed(1) : Math.round(n).toString()) + units[u];
}

const full = (n) => n.toLocaleString('en-US');
const counted = (n) => el('span', {title: full(n)}, short(n));
const percent = (x, digits = 1) => (100 * x).toFixed(digits) + '\u2009%';
const seconds = (ns) => ns < 1e6 ? (ns / 1e3).toFixed(0) + ' \u00b5s'
  : ns < 1e9 ? (ns / 1e6).toFixed(1) + ' ms' : (ns / 1e9).toFixed(3) + ' s';
const bytesOf = (n) => n < 10240 ? n + ' B' : (n / 1024).toFixed(0) + ' KiB';

/* ---- shares ---- */

const all = D.blocks.concat(D.rest);
const insideShare = T.total_ns ? Math.min(1, T.inside_ns / T.total_ns) : 0;
const sampled = T.samples > 0;
const workOf = (b) => b.insns ? b.insns.reduce((n, i) => n + i.n, 0) : b.runs;
const work = sampled ? 0 : all.reduce((n, b) => n + workOf(b), 0);

/* A block's share of all CPU time; without samples, of the instructions run. */
function shareOf(b) {
  return sampled ? b.p / T.samples * insideShare : work ? workOf(b) / work : 0;
}

const hex = (a) => '0x' + a;
const place = (x) => x.s === undefined ? hex(x.a)
  : x.s + (x.o ? '+0x' + x.o.toString(16) : '');

/* ---- the head ---- */

function showHead() {
  const facts = $('facts'), totals = $('totals');
  const box = (big, small, title) =>
    add(totals, el('div', {title}, el('b', null, big), el('span', null, small)));

  $('command').textContent = D.argv.join(' ');
  $('ending').textContent = `${D.guest} program, ${D.ending}`;
  for (let i = 0; i + 1 < D.notes.length; i += 2)
    add(facts, el('div', null, el('dt', null, D.notes[i]), el('dd', null, D.notes[i + 1])));
  add(facts, el('div', null, el('dt', null, 'tessera'), el('dd', null, D.version)));
  box(short(T.insns), 'guest instructions run', full(T.insns));
  box(seconds(T.total_ns), (T.threads > 1 ? `CPU time of ${T.threads} threads` : 'CPU time'));
  box(T.insns ? (T.inside_ns / T.insns).toFixed(2) + ' ns' : '-', 'an instruction, in generated code');
  box(short(T.made), `blocks made, ${full(T.traces)} of them traces`, full(T.made));
  box(short(T.guest_insns), 'instructions translated', full(T.guest_insns));
  box(bytesOf(T.host_bytes), T.guest_insns
    ? `host code, ${(T.host_bytes / T.guest_insns).toFixed(1)} bytes an instruction` : 'host code');
  if (T.invalidated - T.traces > 0)
    box(full(T.invalidated - T.traces), `blocks dropped: their code changed or went away (${full(T.smc)} writes to code)`);
  if (T.flushes) box(full(T.flushes), 'times all was dropped: code buffer full');
}

/* ---- where the time went ---- */

function stack(parts) {
  const bar = el('div.stack'), keys = el('div.keyed');

  parts.forEach(([share, name, title], i) => {
    add(bar, el(`i.c${i}`, {style: `width:${100 * share}%`, title: name}));
    add(keys, el(`i.c${i}`), el('b', null, percent(share)), el('span', {title}, name));
  });
  return [bar, keys];
}

function showTime() {
  const total = T.total_ns || 1, helper = T.samples ? T.helper_samples / T.samples : 0;
  const translate = Math.min(T.translate_ns / total, 1 - insideShare);
  const linking = Math.min(T.linking_ns / total, 1 - insideShare - translate);
  const parts = [
    [insideShare * (1 - helper), 'generated code'],
    [insideShare * helper, 'helpers that generated code calls'],
    [translate, 'translation'],
    [linking, 'finding and linking blocks'],
    [Math.max(0, 1 - insideShare - translate - linking), 'system calls, signals, start and end'],
  ];
  const functions = new Map();
  const names = el('div');

  for (const b of all)
    functions.set(b.s ?? '', (functions.get(b.s ?? '') || 0) + shareOf(b));
  const top = [...functions].filter(([, x]) => x > 0.0005).sort((a, b) => b[1] - a[1]).slice(0, 9);
  for (const [name, share] of top)
    add(names, el('div.fn', null,
      name ? el('a', {href: link(name), title: name}, name) : el('span', null, '(no name)'),
      el('i', {style: `width:${100 * share / top[0][1]}%`}), el('b', null, percent(share))));
  if (!top.length) add(names, el('p.empty', null, 'Too short a run to tell.'));
  const own = T.own_ns > 0.005 * total
    ? el('p.about', null, `Left out: ${seconds(T.own_ns)} more for keeping what this page shows.`) : null;
  add($('time'),
    el('div', null, el('h2', null, 'Where the CPU time went'), ...stack(parts), own),
    el('div', null, el('h2', null, sampled ? 'Hottest functions, share of all CPU time'
      : 'Hottest functions, by instructions run (too short a run for samples)'), names));
}

/* ---- code as text ---- */

const guestNames = new Set(Object.values(D.env));
const subs = {a: 'rax', b: 'rbx', c: 'rcx', d: 'rdx'};

/* The 64-bit register that a name of the host's is part of. */
function wholeOf(name) {
  if (/^[er]?[abcd]x$|^[abcd][lh]$/.test(name)) return subs[name.replace(/^[er]/, '')[0]];
  if (/^[er]?[sd]il?$/.test(name)) return 'r' + name.replace(/^[er]/, '').slice(0, 2);
  if (/^r(8|9|1[0-5])[dwb]?$/.test(name)) return name.replace(/[dwb]$/, '');
  return name.replace(/^ymm/, 'xmm');
}

const reg = (text, r) => el('span', {'data-r': r, title: r === text ? null : `${r} lives here`}, text);

/* Words that name guest registers become marked. */
function guestText(text, names = guestNames) {
  const out = [], m = text.match(/^(\S+)(\s*)([\s\S]*)$/);

  if (!m) return [text];
  out.push(el('span.mn', null, m[1]), m[1].length < 8 ? ' '.repeat(8 - m[1].length) : ' ');
  for (const w of m[3].split(/([a-z][a-z0-9_]*)/))
    out.push(names.has(w) ? reg(w, w) : w);
  return out;
}

/* Offset of an operand in the thread's state. */
function slotOf(text) {
  const m = text.match(/\[rbp(?: ([+-]) (0x[0-9a-f]+|\d+))?\]/);

  return m ? (m[1] === '-' ? -1 : 1) * Number(m[2] || 0) : NaN;
}

/* One host instruction, with what its operands mean to the guest. */
function hostLine([at, bytes, text], plan) {
  const m = text.match(/^(\S+)\s*([\s\S]*)$/), offset = slotOf(text);
  const line = el('div'), tally = offset >= D.tallies_at, slot = D.env[offset];

  if (tally) {
    line.className = 'tally';
    line.title = 'Counts for this page; an ordinary run has no such instruction.';
  }
  add(line, el('span.by', {title: `+0x${at.toString(16)}: ${bytes}`},
    (bytes.length > 16 ? bytes.slice(0, 15) + '\u2026' : bytes.padEnd(16)) + ' '),
    el('span.mn', null, m[1].padEnd(7) + ' '));
  for (const w of m[2].replace(/\b([dq]|xmm)?word ptr |byte ptr /g, '').split(/([a-z][a-z0-9]*)/)) {
    const r = plan[wholeOf(w)];

    add(line, r ? reg(w, r) : w);
  }
  if (tally) add(line, el('span.nt', null, '   ; count'));
  else if (/^dec dword ptr \[rip/.test(text)) add(line, el('span.nt', null, '   ; entries left until it is hot'));
  else if (slot) add(line, el('span.nt', null, '   ; ', guestNames.has(slot) ? reg(slot, slot) : slot));
  else if (/gs:/.test(text)) add(line, el('span.nt', null, '   ; guest memory'));
  return line;
}

/* ---- what an op means ---- */

const flagWords = [[4, 'reads guest memory'], [8, 'writes guest memory'], [16, 'may fault'],
  [512, 'may leave the block'], [1024, 'uses the rounding mode, raises flags'],
  [1, 'no effect but its result']];
const meanings = new Map();

/* The function in ops.h, or what its flags say. */
function meaningOf(name) {
  if (meanings.has(name)) return meanings.get(name);
  const at = D.meanings.search(new RegExp(`\\bop_${name}\\(`));
  let text = '';

  if (at >= 0) {
    const tail = D.meanings.slice(at), end = tail.search(/\}\n|\n\}/);
    text = tail.slice(0, end + 2).replace(/^op_/, '').trim();
  }
  const flags = D.flags[name] || 0;
  const words = flagWords.filter(([bit]) => flags & bit).map(([, w]) => w).join(', ');
  const whole = [text, words].filter(Boolean).join('\n');
  meanings.set(name, whole || name);
  return meanings.get(name);
}

/* ---- links between blocks ---- */

const link = (q) => '#q=' + encodeURIComponent(q);
const byAddress = new Map();
D.blocks.forEach((b, i) => {
  b.rank = i + 1;
  b.id = `b${i + 1}`;
  if (!byAddress.has(b.a) || b.trace) byAddress.set(b.a, b);
});

/* A traces's way out does not lead back into a block of the same address. */
const target = (a) => byAddress.get(a);

function comesFrom(b) {
  const out = [];

  for (const from of D.blocks)
    for (const w of from.ways)
      if (w.a === b.a && w.trap === undefined && !w.req && from !== b && w.n) out.push([from, w.n]);
  return out.sort((x, y) => y[1] - x[1]);
}

const traps = ['', 'system call', 'breakpoint', 'illegal instruction', 'no code there',
  'memory fault', 'misaligned', 'fence.i', 'request'];

function wayChip(b, w) {
  const to = target(w.a);

  if (w.trap !== undefined)
    return el('span.way', {title: 'leaves to C'}, `\u2192 ${traps[w.trap] || 'trap'}  \u00d7 `, counted(w.n));
  return el('span.way' + (w.linked ? '' : '.off'),
    {title: `${full(w.n)} times; ` + (w.linked ? 'linked: one jump' : 'never linked')},
    '\u2192 ', to ? el('a', {href: '#' + to.id, class: 'go'}, place(w)) : place(w), '  \u00d7 ', counted(w.n));
}

/* An op's text without the destination that is shown beside it. */
const wayless = (text) => text.replace(/ -> .*/, '');

/* How often the block went on by an indirect jump: what no other way out took. */
function jumped(b) {
  return Math.max(0, b.entries - b.ways.reduce((n, w) => n + (w.req ? 0 : w.n), 0));
}

/* ---- a block's table ---- */

function heatCell(samples, b, rows) {
  const x = b.p ? samples / b.p : 0;
  const td = el('td.heat', {rowspan: rows});

  if (x > 0) {
    td.style.background = `rgba(var(--heat), ${(0.06 + 0.6 * Math.sqrt(x)).toFixed(3)})`;
    td.title = `${full(samples)} of the block's ${full(b.p)} samples`;
    td.textContent = x >= 0.0005 ? percent(x) : '';
  }
  return td;
}

function opCell(b, op) {
  const td = el('td.o', {title: meaningOf(op.t.split(' ')[0])}, guestText(wayless(op.t)));
  const chips = el('div');

  for (const w of b.ways)
    if (w.k === op.k && !w.req) add(chips, wayChip(b, w));
  if (/^jump /.test(op.t))
    add(chips, el('span.way', {title: 'looked up in the jump cache'}, '\u2192 anywhere  \u00d7 ', counted(jumped(b))));
  if (b.loops && /^(b\w+|leave)\b/.test(op.t) && op.t.includes('-> 0x' + b.a) &&
      !b.ways.some((w) => w.k === op.k && !w.req && w.a === b.a))
    add(chips, el('span.way.loop', {title: 'straight back to the first instruction'},
      '\u21ba top  \u00d7 ', counted(Math.max(0, b.runs - b.entries))));
  return chips.children.length ? add(td, chips) : td;
}

function hostCell(lines, plan, none) {
  return add(el('td.h'), lines.length ? lines.map((l) => hostLine(l, plan))
    : el('span.nt', null, none));
}

function guestCell(insn, rows) {
  return el('td.g', {rowspan: rows}, el('span.at', null, hex(insn.a) + '  '), el('span.by', null, insn.b.padEnd(8) + '  '),
    guestText(insn.t.replace(/\t/g, ' ')));
}

/* The ops as translated; those that the passes took away or changed are struck. */
function beforeCell(before, after, rows) {
  const left = after.map((o) => o.t), td = el('td.b', {rowspan: rows});

  for (const [, text] of before) {
    const at = left.indexOf(text);

    if (at >= 0) left.splice(at, 1);
    add(td, add(el(at >= 0 ? 'div' : 'div.gone', {title: text}), guestText(wayless(text))));
  }
  return td;
}

/* One guest instruction, its ops, their host code. */
function insnRows(b, i, plan) {
  const insn = b.insns[i], last = b.insns[i - 1];
  const ops = b.ops.filter((o) => o.i === i), rows = Math.max(1, ops.length);
  const body = el('tbody', {'data-a': insn.a});

  if (insn.s !== undefined && (!last || last.s !== insn.s))
    add(body, el('tr.where', null, el('td', {colspan: 2}), el('td', {colspan: 4}, place(insn))));
  for (let k = 0; k < rows; k++) {
    const tr = el('tr'), op = ops[k];

    if (k === 0)
      add(tr, heatCell(ops.reduce((n, o) => n + o.s, 0), b, rows),
        el('td.count', {rowspan: rows, title: full(insn.n)}, !last || last.n !== insn.n ? short(insn.n) : ''),
        guestCell(insn, rows),
        b.before.length ? beforeCell(b.before.filter(([n]) => n === i), ops, rows) : null);
    if (op)
      add(tr, opCell(b, op), hostCell(op.h, plan, op.t.startsWith('fence') ? '' : 'done by its neighbour'));
    else
      add(tr, el('td.o', null, el('span.nt', null, b.before.some(([n]) => n === i) ? 'nothing left to do' : 'nothing to do')), el('td.h'));
    add(body, tr);
  }
  return body;
}

function entryRows(b, plan) {
  const cells = 1 + (b.before.length ? 1 : 0);

  return el('tbody', null, el('tr.out', null, heatCell(b.ep, b, 1), el('td.count'),
    el('td.g', {colspan: cells}, el('span.nt', null, 'on the way in')),
    el('td.o', null, el('span.nt', null, b.checks ? 'compares its source bytes' : b.plan ? 'values move to their registers' : '')),
    hostCell(b.entry, plan, 'nothing')));
}

function wayRows(b, w, number, plan) {
  const cells = 1 + (b.before.length ? 1 : 0), n = w.h.length;
  const size = w.h.reduce((sum, [, bytes]) => sum + bytes.length / 2, 0);
  const code = el('details', null, el('summary', null, `${n} instructions, ${size} bytes`));

  code.addEventListener('toggle', () => {
    if (code.children.length === 1) add(code, w.h.map((l) => hostLine(l, plan)));
  });
  return el('tbody', null, el('tr.out', null, heatCell(w.p, b, 1), el('td.count'),
    el('td.g', {colspan: cells}, el('span.nt', null, `exit_${number}`)),
    el('td.o', null, w.req ? el('span.nt', null, 'a signal or a stop is waiting') : wayChip(b, w)),
    el('td.h', null, code)));
}

function table(b) {
  const plan = b.plan || D.plan, trace = b.before.length > 0;
  const head = el('tr', null, el('th', {title: "Share of the block's samples"}, 'time'),
    el('th', {title: 'How often the instruction ran; shown where it changes'}, 'runs'),
    el('th.g', null, 'guest instruction'),
    trace ? el('th.o', null, 'micro-ops, as translated') : null,
    el('th.o', null, trace ? '... after the passes' : 'micro-ops'), el('th.h', null, 'host code'));

  return el('div.scroll', null, el('table.code', null, el('thead', null, head),
    entryRows(b, plan), b.insns.map((_, i) => insnRows(b, i, plan)),
    b.ways.map((w, i) => wayRows(b, w, i, plan))));
}

/* ---- a block ---- */

function registers(b) {
  const used = new Set(), plan = b.plan || D.plan;
  const row = el('div.row', null, el('span', null, 'registers'));

  for (const o of b.ops)
    for (const w of o.t.split(/[^a-z0-9]+/)) if (guestNames.has(w)) used.add(w);
  for (const [host, guest] of Object.entries(plan)) {
    if (!used.delete(guest)) continue;
    add(row, el('span.chip' + (D.plan[host] === guest ? '' : '.own'),
      {title: D.plan[host] === guest ? 'as everywhere' : 'the plan of this trace alone'},
      reg(guest, guest), ' \u2192 ', reg(host, guest)));
  }
  const memory = [...used].filter((r) => r && !['pc', 'request'].includes(r) && Object.values(D.env).includes(r));
  if (memory.length) add(row, el('span.chip', {title: 'no register left: memory operands'}, memory.join(' '), el('small', null, ' in memory')));
  return row.children.length > 1 ? row : null;
}

function neighbours(b) {
  const from = comesFrom(b), row = el('div.row', null, el('span', null, 'comes from'));

  for (const [x, n] of from.slice(0, 8))
    add(row, el('span.chip', null, el('a', {href: '#' + x.id, class: 'go'}, place(x)), el('small', null, ' \u00d7 ', counted(n))));
  if (from.length > 8) add(row, el('span', null, `and ${from.length - 8} more`));
  return from.length ? row : null;
}

const times = (n) => n === 1 ? 'once' : n === 2 ? 'twice' : full(n) + ' times';

function story(b) {
  const n = b.insns.length, p = el('p.about');
  const ops = b.ops.length, was = b.before.length;

  add(p, b.loops ? ['Entered ', el('b', null, counted(b.entries)), ' times, ', el('b', null, counted(b.runs)), ' rounds of its loop. ']
    : ['Ran ', el('b', null, counted(b.runs)), ' times. ']);
  add(p, `${n} instruction${n === 1 ? '' : 's'} became ${was && was !== ops ? was + ', then ' : ''}${ops} micro-op${ops === 1 ? '' : 's'} and ${b.bytes} bytes of host code.`);
  if (b.promoted) add(p, ' It became hot, and went on as a trace.');
  if (b.made > 1) add(p, ` Made ${times(b.made)}.`);
  if (b.dropped) add(p, ` Dropped ${times(b.dropped)}, because guest code there was written to or unmapped.`);
  if (b.others) add(p, ` At other times other code stood at this address: ${full(b.others)} more version${b.others === 1 ? '' : 's'}.`);
  if (b.checks) add(p, ' Its page is written to often: it compares its source bytes each time it is entered.');
  return p;
}

function badges(b) {
  const out = [];

  if (b.trace) out.push(el('span.badge.trace', null, 'trace'));
  if (b.loops) out.push(el('span.badge', null, 'loop'));
  if (b.plan) out.push(el('span.badge', null, 'own registers'));
  if (b.promoted) out.push(el('span.badge', null, 'became a trace'));
  if (b.step) out.push(el('span.badge', null, 'single step'));
  if (b.others) out.push(el('span.badge.warn', null, 'self-modified'));
  else if (b.dropped) out.push(el('span.badge.warn', null, 'dropped'));
  if (b.checks) out.push(el('span.badge.warn', null, 'checks itself'));
  return out;
}

function header(b) {
  const x = shareOf(b);

  return el('button', {'aria-expanded': 'false', 'aria-controls': b.id + '-body'},
    el('span.rank', null, '#' + b.rank),
    el('span.share', {'data-share': x}, el('i', {style: `width:${100 * x}%`}), el('b', null, percent(x))),
    el('span.title', null, el('span.name', null, place(b)),
      b.s === undefined ? null : el('span.addr', null, hex(b.a)), badges(b)),
    el('span.figures', null, counted(b.runs), b.loops ? ' rounds' : ' runs', ` \u00b7 ${b.insns.length} insns`));
}

function setOpen(b, open) {
  const section = $(b.id);

  if (open && !b.body) {
    b.body = el('div.body' + (b.loops ? '.loops' : ''), {id: b.id + '-body'},
      story(b), registers(b), neighbours(b), table(b));
    section.append(b.body);
    if (query) markHits(b);
  }
  if (b.body) b.body.hidden = !open;
  section.classList.toggle('opened', open);
  section.firstChild.setAttribute('aria-expanded', String(open));
}

const isOpen = (b) => b.body !== undefined && !b.body.hidden;

function showBlocks() {
  const main = $('blocks');

  for (const b of D.blocks) {
    const section = el('section.block', {id: b.id, 'data-a': b.a}, header(b));

    section.firstChild.addEventListener('click', () => setOpen(b, !isOpen(b)));
    main.append(section);
  }
  if (!D.blocks.length) add(main, el('p.empty', null, 'No block was run.'));
}

function showRest() {
  const more = T.records - D.blocks.length;
  const share = D.rest.reduce((n, b) => n + shareOf(b), 0);

  if (more <= 0) return;
  const details = el('details', null, el('summary', null,
    `${full(more)} more blocks, cooler than these: ${percent(share, 2)} of the time`));
  details.addEventListener('toggle', () => {
    if (details.children.length > 1) return;
    add(details, el('table', null, D.rest.map((b) => el('tr', null, el('td', null, percent(shareOf(b), 2)),
      el('td.mono', null, hex(b.a)), el('td.mono', null, b.s === undefined ? '' : place(b)),
      el('td', null, b.trace ? 'trace' : ''), el('td', null, short(b.runs), ' runs')))));
  });
  add($('rest'), details);
}

/* ---- search ---- */

let query = '', current = -1;

/* All of a block that can be looked for, made once. */
function textOf(b) {
  if (!b.text)
    b.text = [place(b), b.s, hex(b.a), ...b.insns.map((i) => `${hex(i.a)} ${i.b} ${i.t.replace(/\t/g, ' ')} ${i.s || ''}`),
      ...b.ops.map((o) => o.t + ' ' + o.h.map((h) => h[2]).join(' ')),
      b.trace ? 'trace' : '', b.loops ? 'loop' : '', b.others ? 'self-modified' : '', b.dropped ? 'dropped' : '']
      .join('\n').toLowerCase();
  return b.text;
}

const words = () => query.toLowerCase().split(/\s+/).filter(Boolean);
const matches = (b) => words().every((w) => textOf(b).includes(w));

function markHits(b) {
  const list = words();

  if (!b.body) return;
  for (const e of b.body.querySelectorAll('td.g, td.o, td.b > div, td.h > div'))
    e.classList.toggle('hit', list.some((w) => e.textContent.toLowerCase().replace(/ +/g, ' ').includes(w)));
}

function search(text) {
  const n = D.blocks.filter((b) => {
    query = text;
    const yes = !text || matches(b);

    $(b.id).hidden = !yes;
    markHits(b);
    return yes;
  });
  const rest = text ? D.rest.filter((b) => words().every((w) => `${place(b)} ${hex(b.a)}`.toLowerCase().includes(w))).length : 0;

  $('found').textContent = !text ? '' : `${n.length} block${n.length === 1 ? '' : 's'}` + (rest ? `, ${rest} below` : '');
  current = -1;
  if (text && n.length && n.length <= 5 || n.length === 1) n.forEach((b) => setOpen(b, true));
  return n;
}

function fromHash() {
  const hash = decodeURIComponent(location.hash.slice(1));
  const b = D.blocks.find((x) => x.id === hash);

  if (hash.startsWith('q=')) {
    $('q').value = hash.slice(2);
    const n = search(hash.slice(2));
    if (n.length) setOpen(n[0], true);
  } else if (b) {
    if ($(b.id).hidden) $('q').value = '', search('');
    setOpen(b, true);
    moveTo(b);
  }
}

/* ---- keys and the mouse ---- */

const listed = () => D.blocks.filter((b) => !$(b.id).hidden);

function moveTo(b) {
  for (const x of document.querySelectorAll('.here')) x.classList.remove('here');
  $(b.id).classList.add('here');
  $(b.id).scrollIntoView({block: 'start'});
  $(b.id).firstChild.focus({preventScroll: true});
  current = listed().indexOf(b);
}

function step(by) {
  const list = listed();

  if (list.length) moveTo(list[Math.min(list.length - 1, Math.max(0, current + by))]);
}

function nextTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches;

  root.dataset.theme = dark ? 'light' : 'dark';
}

const openAll = () => listed().slice(0, 50).forEach((b) => setOpen(b, true));
const closeAll = () => D.blocks.forEach((b) => b.body && setOpen(b, false));
const keys = {
  '/': () => ($('q').focus(), $('q').select()),
  j: () => step(1), k: () => step(-1), e: openAll, c: closeAll, t: nextTheme,
};

function onKey(e) {
  if (e.target === $('q')) {
    if (e.key === 'Escape') $('q').value = '', search(''), $('q').blur();
    if (e.key === 'Enter') $('q').blur(), step(1);
    return;
  }
  if (e.ctrlKey || e.metaKey || e.altKey || !keys[e.key]) return;
  e.preventDefault();
  keys[e.key]();
}

/* A register is lit wherever it is in this block. */
function onPoint(e) {
  const here = e.target.closest('[data-r]'), body = e.target.closest('.body');

  for (const x of document.querySelectorAll('.lit')) x.classList.remove('lit');
  if (here && body)
    for (const x of body.querySelectorAll(`[data-r="${CSS.escape(here.dataset.r)}"]`)) x.classList.add('lit');
}

/* ---- all of it ---- */

document.title = `${D.argv[0] || D.program} - tessera`;
showHead();
showTime();
showBlocks();
showRest();
D.blocks.slice(0, 3).forEach((b) => setOpen(b, true));
$('q').addEventListener('input', () => {
  search($('q').value.trim());
  history.replaceState(null, '', $('q').value.trim() ? link($('q').value.trim()) : '#');
});
$('open').addEventListener('click', openAll);
$('close').addEventListener('click', closeAll);
$('theme').addEventListener('click', nextTheme);
document.addEventListener('keydown', onKey);
document.addEventListener('mouseover', onPoint);
window.addEventListener('hashchange', fromHash);
$('app').hidden = false;
fromHash();
