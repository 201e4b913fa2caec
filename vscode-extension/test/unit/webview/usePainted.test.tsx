// @vitest-environment happy-dom
/** What is drawn behind a frame: as soon as nothing else waits, and only the latest. */

import { act, cleanup, renderHook } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';

import { usePainted } from '../../../webview/usePainted';

interface Task {
  readonly work: () => void;
  readonly priority: string;
  readonly signal: AbortSignal;
}

let tasks: Task[] = [];

/** A browser's scheduler, as far as it is used; a task that was given up rejects. */
const scheduler = {
  postTask: (work: () => void, { priority, signal }: Omit<Task, 'work'>) =>
    new Promise<void>((resolve, reject) => {
      tasks.push({ work: () => { try { work(); resolve(); } catch (error) { reject(error as Error); } }, priority, signal });
      signal.addEventListener('abort', () => { reject(signal.reason as Error); });
    }),
};

const frame = (): Promise<unknown> => act(() => new Promise((resolve) => { requestAnimationFrame(resolve); }));

afterEach(() => {
  cleanup();
  tasks = [];
  vi.unstubAllGlobals();
});

test('the value follows when the frame is painted and nobody else waits', async () => {
  vi.stubGlobal('scheduler', scheduler);
  const { result, rerender } = renderHook(({ value }) => usePainted(value, 0), { initialProps: { value: 1 } });
  await frame();
  expect(result.current).toBe(0);
  expect(tasks.map(({ priority }) => priority)).toEqual(['background']);
  act(() => { tasks[0]?.work(); });
  expect(result.current).toBe(1);
  rerender({ value: 2 });
  expect(result.current).toBe(1);
});

test('a value that was overtaken before its turn is never drawn', async () => {
  vi.stubGlobal('scheduler', scheduler);
  const { result, rerender } = renderHook(({ value }) => usePainted(value, 0), { initialProps: { value: 1 } });
  await frame();
  rerender({ value: 2 });
  await frame();
  expect(tasks.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  act(() => { tasks[1]?.work(); });
  expect(result.current).toBe(2);
});

test.each([['drawn', false], ['not drawn when it was overtaken', true]])('without such a scheduler it is the next task: %s', async (_, overtaken) => {
  vi.stubGlobal('scheduler', undefined);
  const { result, unmount } = renderHook(() => usePainted(1, 0));
  await frame();
  if (overtaken) unmount();
  await act(() => new Promise((resolve) => { setTimeout(resolve); }));
  expect(result.current).toBe(overtaken ? 0 : 1);
});
