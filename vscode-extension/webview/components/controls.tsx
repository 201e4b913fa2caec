/** Buttons, fields and other small controls, in the editor's own looks. */

import type { ReactNode, Ref, RefCallback } from 'react';
import { useEffect, useState } from 'react';

export function Icon({ name, className = '' }: { readonly name: string; readonly className?: string }): ReactNode {
  return <span className={`codicon codicon-${name} ${className}`} aria-hidden="true" />;
}

interface IconButtonProps {
  readonly icon: string;
  readonly label: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ icon, label, onClick, disabled = false, ref }: IconButtonProps): ReactNode {
  return (
    <button type="button" ref={ref} className="icon-button" title={label} aria-label={label} disabled={disabled} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

interface ButtonProps {
  readonly children: ReactNode;
  readonly onClick: () => void;
  readonly secondary?: boolean;
  readonly icon?: string;
}

export function Button({ children, onClick, secondary = false, icon }: ButtonProps): ReactNode {
  if (!useDefined('vscode-button')) return <Room />;
  return (
    <vscode-button secondary={secondary} onClick={onClick}>
      {/* Not the element's own icon: that brings a style sheet into the page, which the policy forbids. */}
      {icon && <span slot="content-before" className="me-1 inline-flex"><Icon name={icon} /></span>}
      {children}
    </vscode-button>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly onInput?: (value: string) => void;
  /** When it is left, or Enter pressed. */
  readonly onChange?: (value: string) => void;
  readonly onBlur?: () => void;
  readonly className?: string;
  readonly children?: ReactNode;
}

export function TextField({ label, value, placeholder = '', onInput, onChange, onBlur, className = '', children }: TextFieldProps): ReactNode {
  if (!useDefined('vscode-textfield')) return <Room className={className} />;
  return (
    <vscode-textfield
      className={className} label={label} value={value} placeholder={placeholder}
      onInput={(event) => onInput?.(valueOf(event.currentTarget))}
      ref={onChangeOf((element) => onChange?.(valueOf(element)))}
      onBlur={() => onBlur?.()}
    >
      {children}
    </vscode-textfield>
  );
}

export function Checkbox({ label, checked, onChange }: {
  readonly label: string; readonly checked: boolean; readonly onChange: (checked: boolean) => void;
}): ReactNode {
  if (!useDefined('vscode-checkbox')) return <Room />;
  return (
    <vscode-checkbox
      label={label} checked={checked}
      ref={onChangeOf((element) => { onChange((element as HTMLElement & { checked: boolean }).checked); })}
    />
  );
}

export interface Choice<V extends string> {
  readonly value: V;
  readonly label: string;
}

interface SelectProps<V extends string> {
  readonly label: string;
  readonly value: V;
  readonly choices: readonly Choice<V>[];
  readonly onChange: (value: V) => void;
  readonly className?: string;
}

export function Select<V extends string>({ label, value, choices, onChange, className = '' }: SelectProps<V>): ReactNode {
  if (!useDefined('vscode-single-select')) return <Room className={className} />;
  return (
    <vscode-single-select
      className={className} label={label} value={value}
      ref={onChangeOf((element) => {
        const chosen = choices.find((choice) => choice.value === valueOf(element));
        if (chosen && chosen.value !== value) onChange(chosen.value);
      })}
    >
      {choices.map((choice) => (
        <vscode-option key={choice.value} value={choice.value} selected={choice.value === value}>{choice.label}</vscode-option>
      ))}
    </vscode-single-select>
  );
}

/** One of a few that exclude each other. */
export function Segments<V extends string>({ label, value, choices, onChange }: SelectProps<V>): ReactNode {
  return (
    <div className="segments" role="group" aria-label={label}>
      {choices.map((choice) => (
        <button key={choice.value} type="button" aria-pressed={choice.value === value} onClick={() => { onChange(choice.value); }}>
          {choice.label}
        </button>
      ))}
    </div>
  );
}

/** Whether an element's script has run: before that React would set attributes where the element has properties. */
function useDefined(name: string): boolean {
  const [isDefined, setDefined] = useState(() => customElements.get(name) !== undefined);
  useEffect(() => {
    if (!isDefined) void customElements.whenDefined(name).then(() => { setDefined(true); });
  }, [isDefined, name]);
  return isDefined;
}

/** In the place of a control that comes later, as high as it will be. */
function Room({ className = '' }: { readonly className?: string }): ReactNode {
  return <span className={`control-room ${className}`} />;
}

/** Hears of changes at the element itself: those of these elements do not bubble, so React's own listeners miss them. */
function onChangeOf(changed: (element: HTMLElement) => void): RefCallback<HTMLElement> {
  return (element) => {
    if (!element) return undefined;
    const listener = (): void => { changed(element); };
    element.addEventListener('change', listener);
    return () => { element.removeEventListener('change', listener); };
  };
}

function valueOf(element: HTMLElement): string {
  return (element as HTMLElement & { value: string }).value;
}
