import hooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    // assembly/ is another language; its own compiler checks it.
    ignores: ['dist/**', 'node_modules/**', 'coverage/**', 'assembly/**', '**/*.mjs'],
  },
  ...tseslint.configs.strict,
  {
    files: ['**/*.{ts,tsx}'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // A loop over typed arrays has checked its index.
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['webview/**/*.{ts,tsx}'], plugins: { 'react-hooks': hooks }, rules: hooks.configs.recommended.rules },
  // The host and the webview meet in shared/ only, and shared/ knows neither.
  { files: ['webview/**'], rules: { 'no-restricted-imports': ['error', { patterns: ['**/src/**', 'vscode', 'node:*'] }] } },
  { files: ['src/**'], rules: { 'no-restricted-imports': ['error', { patterns: ['**/webview/**'] }] } },
  { files: ['shared/**'], rules: { 'no-restricted-imports': ['error', { patterns: ['**/src/**', '**/webview/**', 'vscode', 'node:*'] }] } },
);
