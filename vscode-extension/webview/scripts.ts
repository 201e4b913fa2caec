/** The script that no first figure needs: it comes when the page stands, and the page's own says from where. */

import { t } from './texts';

/** Resolves when the controls are there. */
export function loadElements(): Promise<void> {
  const own = document.querySelector<HTMLScriptElement>('script[data-elements]');
  // Where everything is one program, as in a test, there is nothing to load.
  if (!own) return Promise.resolve();
  const script = document.createElement('script');
  script.nonce = own.nonce ?? '';
  script.src = own.dataset['elements'] ?? '';
  return new Promise((resolve, reject) => {
    script.addEventListener('load', () => { resolve(); });
    script.addEventListener('error', () => { reject(new Error(t('The controls could not be loaded.'))); });
    document.head.append(script);
  });
}
