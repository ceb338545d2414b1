/** The events of a turn's stream and the body that starts one. */
import type { ErrorBody, Limit } from "./api.ts";

export interface Usage {
  prompt_tokens?: number | null;
  completion_tokens?: number | null;
  reasoning_tokens?: number | null;
  cached_tokens?: number | null;
  total_tokens?: number | null;
  cost_usd?: string | null;
  estimated?: boolean | null;
}

export interface EventData {
  "turn.started": {
    turn_id: string;
    conversation_id: string;
    user_message_id: string;
    messages: { message_id: string; model: string }[];
    quote?: { max_tokens?: number; max_cost_usd?: string };
    context?: { included_messages?: number; omitted_messages?: number };
  };
  "message.delta": { message_id: string; offset: number; text: string };
  "message.reasoning": { message_id: string; offset: number; text: string };
  "message.model": { message_id: string; model: string; reason?: string };
  "message.completed": { message_id: string; model?: string; finish_reason?: string; usage?: Usage };
  "message.failed": { message_id: string; error: ErrorBody };
  "conversation.updated": { conversation_id: string; title: string };
  "turn.completed": { turn_id: string; quota?: Limit[] };
}

export type TurnEvent = { [K in keyof EventData]: { name: K; data: EventData[K]; id: string } }[keyof EventData];

/** What is sent: one model's answer, or several side by side. */
export interface SendBody {
  conversation_id?: string;
  parent_message_id?: string;
  content: string;
  model?: string;
  models?: string[];
  attachments?: string[];
  preset_id?: string;
  temporary?: boolean;
}

/** How an answer is asked for again. */
export interface AgainBody {
  model?: string;
  models?: string[];
  instruction?: string;
}
