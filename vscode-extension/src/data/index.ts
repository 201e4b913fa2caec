/** The records of one folder as the panel asks for them: read, kept up to date, counted. */

export { readAlerts } from './alerts';
export { archive, type Archived } from './archive';
export { Dataset, type DatasetOptions, type Reading } from './dataset';
