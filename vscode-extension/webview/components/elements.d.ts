/** The elements of @vscode-elements that are used, as JSX knows them; their classes would bring Lit's types along. */

import type { DetailedHTMLProps, HTMLAttributes } from 'react';

type Base = DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement>;

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'vscode-button': Base & { secondary?: boolean; disabled?: boolean };
      'vscode-textfield': Base & { value?: string; placeholder?: string; label?: string; type?: string; disabled?: boolean };
      'vscode-checkbox': Base & { checked?: boolean; label?: string; disabled?: boolean };
      'vscode-single-select': Base & { label?: string; value?: string; disabled?: boolean };
      'vscode-option': Base & { value?: string; selected?: boolean };
    }
  }
}
