import { describe, expect, test } from 'vitest';

import { NEWEST_FIRST, NO_FILTERS } from '../../../shared/protocol';
import { overviewOf, pageOf, SETTINGS, SOURCE } from '../../harness/records';
import { HELLO, Host, ROWS, settled, started } from './host';

describe('the start', () => {
  test('says hello, then asks for the view that the host remembers', async () => {
    const host = await started();
    expect(host.asked.map(({ question }) => question.type)).toEqual(['hello', 'overview']);
    expect(host.last('overview')).toMatchObject({ view: HELLO.view, slice: null, rows: { sort: NEWEST_FIRST, offset: 0, limit: 20 } });
    expect(host.telemetry.snapshot()).toMatchObject({ overview: { loading: false, problem: null, data: { revision: 1 } }, page: { data: { offset: 0 }, loading: false } });
  });

  test('asks for nothing where the answer to hello has it already', async () => {
    const host = new Host();
    void host.telemetry.start();
    const { rows } = host.last('hello');
    await host.answer('hello', { ...HELLO, overview: { ...overviewOf(ROWS, HELLO.view, null, 7), page: rows && pageOf(ROWS, HELLO.view, rows, 7) } });
    expect(host.asked.map(({ question }) => question.type)).toEqual(['hello']);
    expect(host.telemetry.snapshot()).toMatchObject({ overview: { loading: false, data: { revision: 7 } }, page: { loading: false, data: { revision: 7, offset: 0 } } });
  });

  test('asks again where something changed before hello was answered', async () => {
    const host = new Host();
    void host.telemetry.start();
    await host.tell({ type: 'changed', revision: 8 });
    await host.answer('hello', { ...HELLO, overview: overviewOf(ROWS, HELLO.view, null, 7) });
    expect(host.of('overview')).toHaveLength(1);
  });

  test('with the list of all rows asks for no page', async () => {
    const host = await started({ view: HELLO.view, slice: null, sort: NEWEST_FIRST, offset: 0, all: true });
    expect([host.last('hello').rows, host.last('overview').rows]).toEqual([null, null]);
    expect(host.telemetry.snapshot().page.loading).toBe(false);
  });

  test('after the page was hidden goes on where it was', async () => {
    const kept = { view: { range: { name: '30d' }, filters: { ...NO_FILTERS, text: 'x' } }, slice: 'week', sort: { column: 'cost', descending: true }, offset: 0, all: false };
    const host = await started(kept);
    expect(host.last('hello')).toMatchObject({ looking: { view: kept.view, slice: 'week' }, rows: { sort: kept.sort } });
    expect(host.last('overview')).toMatchObject({ view: kept.view, slice: 'week', rows: { sort: kept.sort } });
  });

  test('that is refused says why and can be tried again', async () => {
    const host = new Host();
    void host.telemetry.start();
    await host.refuse('hello', 'no folder');
    expect(host.telemetry.snapshot().hello).toEqual({ data: null, problem: 'no folder', loading: false });
    void host.telemetry.refresh();
    await host.answer('hello', HELLO);
    expect(host.telemetry.snapshot().hello.problem).toBeNull();
    expect(host.of('overview')).toHaveLength(1);
  });
});

describe('an answer', () => {
  test('that was overtaken is dropped', async () => {
    const host = await started();
    host.telemetry.setRange({ name: 'today' });
    const first = host.of('overview').at(-1);
    host.telemetry.setRange({ name: 'all' });
    await host.answer('overview', overviewOf(ROWS, { range: { name: 'all' }, filters: NO_FILTERS }, null, 3));
    await host.answer('overview', overviewOf([], HELLO.view, null, 2), first);
    expect(host.telemetry.snapshot().overview.data?.revision).toBe(3);
  });

  test('that is refused leaves the last good one, and the next good one takes the problem away', async () => {
    const host = await started();
    void host.telemetry.renew();
    await host.refuse('overview', 'EIO');
    expect(host.telemetry.snapshot().overview).toMatchObject({ data: { revision: 1 }, problem: 'EIO', loading: false });
    void host.telemetry.renew();
    await host.show(2);
    expect(host.telemetry.snapshot().overview).toMatchObject({ data: { revision: 2 }, problem: null });
  });
});

describe('the rows that come with the figures', () => {
  test('are dropped where others were asked for meanwhile', async () => {
    const host = await started();
    void host.telemetry.renew();
    host.telemetry.turn(20);
    await host.show(2);
    expect(host.telemetry.snapshot()).toMatchObject({ overview: { data: { revision: 2 } }, page: { loading: true, data: { revision: 1 } } });
    await host.answer('page', pageOf(ROWS, HELLO.view, host.last('page'), 2));
    expect(host.telemetry.snapshot().page).toMatchObject({ loading: false, data: { revision: 2, offset: 20 } });
  });

  test('stay where the figures are refused, and are not waited for', async () => {
    const host = await started();
    void host.telemetry.renew();
    await host.refuse('overview', 'EIO');
    expect(host.telemetry.snapshot().page).toMatchObject({ loading: false, problem: null, data: { revision: 1 } });
  });
});

describe('a change of the data', () => {
  test('is asked for at once', async () => {
    const host = await started();
    await host.tell({ type: 'changed', revision: 2 });
    expect(host.of('overview')).toHaveLength(2);
  });

  test('that is shown already is not asked for', async () => {
    const host = await started();
    await host.tell({ type: 'changed', revision: 1 });
    expect(host.of('overview')).toHaveLength(1);
  });

  test('waits while somebody is busy, and is asked for when all is quiet', async () => {
    const host = await started();
    host.telemetry.setBusy('typing', true);
    host.telemetry.setBusy('menu', true);
    await host.tell({ type: 'changed', revision: 2 });
    expect([host.of('overview').length, host.telemetry.snapshot().news]).toEqual([1, true]);
    host.telemetry.setBusy('typing', false);
    expect(host.of('overview')).toHaveLength(1);
    host.telemetry.setBusy('menu', false);
    expect([host.of('overview').length, host.telemetry.snapshot().news]).toEqual([2, false]);
  });

  test('that waits is shown when asked for by hand', async () => {
    const host = await started();
    host.telemetry.setBusy('away', true);
    await host.tell({ type: 'changed', revision: 2 });
    void host.telemetry.renew();
    expect([host.of('overview').length, host.telemetry.snapshot().news]).toEqual([2, false]);
  });

  test('the host hears of an interaction once, and not of somebody who reads further down', async () => {
    const host = await started();
    host.telemetry.setBusy('away', true);
    expect(host.of('busy')).toHaveLength(0);
    host.telemetry.setBusy('scrolling', true);
    host.telemetry.setBusy('typing', true);
    host.telemetry.setBusy('scrolling', false);
    host.telemetry.setBusy('typing', false);
    expect(host.of('busy').map(({ question }) => question.busy)).toEqual([true, false]);
  });
});

describe('what is looked at', () => {
  test('another period starts at the first row and lets the host choose the unit of time', async () => {
    const host = await started();
    host.telemetry.setSlice('week');
    host.telemetry.turn(40);
    host.telemetry.setRange({ name: '30d' });
    expect(host.last('overview')).toMatchObject({ view: { range: { name: '30d' } }, slice: null, rows: { offset: 0 } });
    expect(host.kept).toMatchObject({ view: { range: { name: '30d' } }, offset: 0, slice: null });
  });

  test('filters add up', async () => {
    const host = await started();
    host.telemetry.setFilters({ tiers: ['cheap'] });
    host.telemetry.setFilters({ text: 'gpt' });
    expect(host.last('overview').view.filters).toEqual({ ...NO_FILTERS, tiers: ['cheap'], text: 'gpt' });
  });

  test('sorting asks for the first page only', async () => {
    const host = await started();
    host.telemetry.turn(20);
    host.telemetry.setSort({ column: 'cost', descending: true });
    expect(host.last('page')).toMatchObject({ sort: { column: 'cost', descending: true }, offset: 0, limit: 20 });
    expect(host.of('overview')).toHaveLength(1);
  });

  test('a page that is no longer there gives way to the last one', async () => {
    const host = await started();
    host.telemetry.turn(400);
    await host.answer('page', { revision: 2, total: 45, offset: 400, rows: [] });
    expect(host.last('page').offset).toBe(40);
  });

  test('all rows are asked for in portions, not in pages', async () => {
    const host = await started();
    const pages = host.of('page').length;
    host.telemetry.showAll(true);
    expect(host.of('page').slice(pages).map(({ question }) => [question.offset, question.limit])).toEqual([[0, 200]]);
    host.telemetry.showAll(false);
    expect(host.last('page').limit).toBe(20);
  });

  test('a command can show other things', async () => {
    const host = await started();
    await host.tell({ type: 'show', view: { range: { name: 'today' } }, page: 'settings' });
    expect(host.telemetry.snapshot()).toMatchObject({ sheet: { name: 'settings' }, view: { range: { name: 'today' }, filters: NO_FILTERS } });
    await host.tell({ type: 'show', view: {}, page: 'overview' });
    expect(host.telemetry.snapshot().sheet).toBeNull();
  });

  test('settings that were changed elsewhere are taken and may change the figures', async () => {
    const host = await started();
    await host.tell({ type: 'settings', settings: { ...SETTINGS, includeTests: true } });
    expect(host.telemetry.snapshot().settings?.includeTests).toBe(true);
    expect(host.of('overview')).toHaveLength(2);
  });

  test('a cold read shows how far it is until it is over', async () => {
    const host = await started();
    await host.tell({ type: 'reading', done: 0.4 });
    expect(host.telemetry.snapshot().reading).toBe(0.4);
    await host.tell({ type: 'reading', done: 1 });
    expect(host.telemetry.snapshot().reading).toBeNull();
  });
});

describe('one call', () => {
  const key = { segment: 'llm_calls.jsonl', offset: 640 };

  test('whose detail was closed again does not come back with its late answer', async () => {
    const host = await started();
    host.telemetry.openDetail(key);
    host.telemetry.closeSheet();
    await host.refuse('detail', 'gone');
    expect(host.telemetry.snapshot()).toMatchObject({ sheet: null, detail: { data: null, problem: null } });
  });

  test('that is open is asked for again with the rest', async () => {
    const host = await started();
    host.telemetry.openDetail(key);
    await host.tell({ type: 'changed', revision: 2 });
    expect(host.of('detail')).toHaveLength(2);
  });

  test('whose code is nowhere says so', async () => {
    const host = await started();
    void host.telemetry.openCode(key);
    await host.answer('openCode', { opened: 'searched' });
    expect(host.telemetry.snapshot().notice).toBeNull();
    void host.telemetry.openCode(key);
    await host.answer('openCode', { opened: 'nowhere' });
    expect(host.telemetry.snapshot().notice).toMatchObject({ kind: 'error' });
    host.telemetry.dismiss();
    expect(host.telemetry.snapshot().notice).toBeNull();
  });
});

describe('what is done', () => {
  test('an export says how many and where, and nothing when it was cancelled', async () => {
    const host = await started();
    void host.telemetry.export();
    await host.answer('export', null);
    expect(host.telemetry.snapshot().notice).toBeNull();
    void host.telemetry.export();
    expect(host.last('export')).toMatchObject({ view: HELLO.view, sort: NEWEST_FIRST });
    await host.answer('export', { path: '/home/ada/a.csv', rows: 3 });
    expect(host.telemetry.snapshot().notice).toEqual({ kind: 'done', text: '3 calls were written to /home/ada/a.csv.' });
  });

  test('clearing says where the records are now, and shows what is left', async () => {
    const host = await started();
    void host.telemetry.clear();
    await host.answer('clear', { path: '.empathy/archive/1', segments: 2 });
    expect(host.telemetry.snapshot().notice?.text).toContain('.empathy/archive/1');
    expect(host.of('overview')).toHaveLength(2);
  });

  test('a refusal is shown', async () => {
    const host = await started();
    void host.telemetry.openRecord({ segment: 'a', offset: 0 });
    await host.refuse('openRecord', 'this record is gone');
    expect(host.telemetry.snapshot().notice).toEqual({ kind: 'error', text: 'this record is gone' });
  });

  test('settings are those that the host took', async () => {
    const host = await started();
    const saving = host.telemetry.save({ refreshSeconds: 10 });
    await host.answer('saveSettings', { ...SETTINGS, refreshSeconds: 60 });
    expect((await saving)?.refreshSeconds).toBe(60);
    expect(host.telemetry.snapshot().settings?.refreshSeconds).toBe(60);
    const refused = host.telemetry.save({ folder: '/etc' });
    await host.refuse('saveSettings', 'not allowed');
    expect(await refused).toBeNull();
    expect(host.telemetry.snapshot().settings?.folder).toBe('');
  });

  test('another folder is shown from its first row', async () => {
    const host = await started();
    host.telemetry.turn(20);
    void host.telemetry.chooseFolder('/b');
    await host.answer('chooseFolder', SOURCE);
    expect(host.last('overview').rows?.offset).toBe(0);
    expect(host.of('overview')).toHaveLength(2);
  });

  test('refreshing looks at the files first, and asks even where that failed', async () => {
    const host = await started();
    void host.telemetry.refresh();
    expect(host.of('overview')).toHaveLength(1);
    await host.refuse('refresh', 'EIO');
    expect(host.of('overview')).toHaveLength(2);
  });

  test('nothing is left waiting when the page goes', async () => {
    const host = await started();
    const opening = host.telemetry.openRecord({ segment: 'a', offset: 0 });
    host.telemetry.close();
    await opening;
    await settled();
    expect(host.telemetry.snapshot().notice?.text).toBe('the panel was closed');
  });
});
