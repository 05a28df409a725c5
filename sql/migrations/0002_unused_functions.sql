-- Nothing calls these functions any more.
DROP FUNCTION IF EXISTS
  coworking_analytics.daily_usage(), coworking_analytics.user_visits(), coworking_analytics.tokens_trigger();
