// @vitest-environment happy-dom
/** Controls whose script comes when the page stands already. */

import { act, cleanup, render } from '@testing-library/react';
import { afterEach, expect, test } from 'vitest';

import { TextField } from '../../../webview/components/controls';

afterEach(cleanup);

test('a control keeps its room until its script has run, and then has its properties', async () => {
  const { container } = render(<TextField label="Search" value="gpt" className="search" />);
  expect(container.querySelector('.control-room.search')).not.toBeNull();
  HTMLElement.prototype.attachInternals = () => ({ setFormValue: () => undefined, setValidity: () => undefined }) as unknown as ElementInternals;
  await act(async () => {
    await import('../../../webview/elements');
    await customElements.whenDefined('vscode-textfield');
  });
  expect(container.querySelector('.control-room')).toBeNull();
  expect(container.querySelector('vscode-textfield.search')).toMatchObject({ label: 'Search', value: 'gpt' });
});
