// The contract's names, without their path.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Board = Schemas['Board'];
export type BoardBuilding = Schemas['BoardBuilding'];
export type BoardChanged = Schemas['BoardChanged'];
export type BoardFloor = Schemas['BoardFloor'];
export type BoardRoom = Schemas['BoardRoom'];
export type Charge = Schemas['Charge'];
export type CreditLevel = Schemas['CreditLevel'];
export type Explanation = Schemas['Explanation'];
export type ExplanationLine = Schemas['ExplanationLine'];
export type LastValue = Schemas['LastValue'];
export type Meter = Schemas['Meter'];
export type Overview = Schemas['Overview'];
export type Permission = Schemas['Permission'];
export type Property = Schemas['Property'];
export type Purse = Schemas['Purse'];
export type ReadRequest = Schemas['ReadRequest'];
export type Room = Schemas['Room'];
export type RoomState = Schemas['RoomState'];
export type Session = Schemas['Session'];
export type Thresholds = Schemas['Thresholds'];
export type UsagePoint = Schemas['UsagePoint'];
export type UsageToday = Schemas['UsageToday'];
