/** Catches what a component throws: the rest of the panel stays, and one can try again. */

import type { ErrorInfo, ReactNode } from 'react';
import { Component } from 'react';
import { t } from '../texts';
import { Problem } from './states';

interface Props {
  readonly children: ReactNode;
  readonly onError?: (error: Error, info: ErrorInfo) => void;
}

export class ErrorBoundary extends Component<Props, { readonly error: Error | null }> {
  override state: { readonly error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    this.props.onError?.(error, info);
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return <Problem text={t('This part could not be shown: {0}', error.message)} onRetry={() => { this.setState({ error: null }); }} />;
  }
}
